#!/usr/bin/python3
"""Measures one training step and one inference of Madu's network here and in PyTorch, in turns on the same machine.

Needs Go and Debian 12's python3-torch (1.13.1):  apt-get install python3-torch
Run from anywhere:  hack/pytorch/madu.py [rounds]

The network is that of model/forecast/neural: n = 60, m = 5, 32 cells, stochastic attention with weights for each
position, Gaussian likelihood, gradients clipped, Adam. PyTorch has its fused LSTM for the encoder and all positions of
attention in one operation. What is measured how: see compare.py.
"""
import compare

N, M, HIDDEN, FEATURES = 60, 5, 32, 4


def network(torch):
    nn = torch.nn

    class Madu(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.LSTM(FEATURES, HIDDEN)
            self.decoder = nn.LSTMCell(2 + HIDDEN, HIDDEN)
            self.wa = nn.Linear(HIDDEN, HIDDEN, bias=False)
            self.ua = nn.Linear(HIDDEN, HIDDEN, bias=False)
            # Mean and deviation of the scores, for each position: (position, inside, 2) and (position, 1, 2).
            self.score = nn.Parameter(torch.randn(N, HIDDEN, 2) * 0.2)
            self.bias = nn.Parameter(torch.zeros(N, 1, 2))
            self.head = nn.Linear(HIDDEN, 2)

        def forward(self, x, draw):
            states, (h, c) = self.encoder(x)  # (n, batch, hidden)
            h, c = h[0], c[0]
            uh = self.ua(states)
            mu, sigma = x[-1, :, 0:1], torch.zeros(x.shape[1], 1)
            mus, sigmas = [], []
            for _ in range(M):
                s = torch.tanh(uh + self.wa(h)) @ self.score + self.bias  # (n, batch, 2)
                scores = s[:, :, 0]
                if draw:
                    scores = scores + s[:, :, 1] * torch.randn_like(scores)
                alpha = torch.softmax(scores, 0)
                context = (alpha.unsqueeze(2) * states).sum(0)
                h, c = self.decoder(torch.cat([mu, sigma, context], 1), (h, c))
                out = self.head(h)
                mu, sigma = out[:, 0:1], torch.nn.functional.softplus(out[:, 1:2]) + 1e-3
                mus.append(mu)
                sigmas.append(sigma)
            return torch.cat(mus, 1), torch.cat(sigmas, 1)

    return Madu()


def works(torch):
    net = network(torch)
    opt = torch.optim.Adam(net.parameters(), lr=1e-3)
    x, y = torch.randn(N, 32, FEATURES), torch.randn(32, M)

    def step():
        opt.zero_grad(set_to_none=True)
        mu, sigma = net(x, True)
        loss = (((y - mu) / sigma) ** 2 / 2 + torch.log(sigma)).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5)
        opt.step()

    one = x[:, :1].contiguous()

    def infer():
        with torch.no_grad():
            net(one, False)

    weights = sum(p.numel() for p in net.parameters())
    return {"train": (weights, step, 60), "infer": (weights, infer, 500)}


if __name__ == "__main__":
    compare.main("./model/forecast/neural", {"train": ("MaduTrainStep/batch32", 5, 0.4), "infer": ("MaduInfer", 50, 0.15)}, works)
