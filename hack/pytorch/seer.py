#!/usr/bin/python3
"""Measures one beat of Seer's networks here and in PyTorch, in turns on the same machine.

Needs Go and Debian 12's python3-torch (1.13.1):  apt-get install python3-torch
Run from anywhere:  hack/pytorch/seer.py [rounds]

The networks are those of model/foresee/network, of the same sizes: ten beats, four numbers of each service. Here a snapshot is
taken in, scaled, and the answer calibrated; PyTorch is given a tensor that is ready and has its own convolutions and fused LSTM.
What is measured how: see compare.py.
"""
import compare

BEATS, CHANNELS, WIDE = 10, 4, 128
FILTERS, LAST, LSTM, HIDDEN, SHARED, WHOLE = 16, 20, 44, 20, 32, 80


def image(torch, services, layers):
    """Convolutions with (stride of beats, stride of services, filters), and the shape that they leave."""
    out, h, w, c = [], BEATS, services, CHANNELS
    for sh, sw, filters in layers:
        kw = sw if sw > 2 else 3
        out += [torch.nn.Conv2d(c, filters, (3, kw), (sh, sw), (1, (kw - 1) // 2 if sw <= 2 else (-w % sw + 1) // 2)), torch.nn.ReLU()]
        h, w, c = -(-h // sh), -(-w // sw), filters
    return out, h, w, c


def cnn(torch, services):
    first = -(-services // WIDE)
    layers, h, w, c = image(torch, services, [(1, first, FILTERS), (1, 2, FILTERS), (1, 1, FILTERS), (2, 2, FILTERS), (1, 1, LAST), (2, 2, LAST), (1, 1, LAST)])
    return torch.nn.Sequential(*layers, torch.nn.Conv2d(c, services + 1, (h, w)))


def lstm(torch, services):
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(CHANNELS * services, LSTM, 3, batch_first=True)
            self.last = torch.nn.Linear(LSTM, services + 1)

        def forward(self, x):
            x = x.permute(0, 2, 3, 1).flatten(2)  # beats, then services and channels
            return self.last(self.lstm(x)[0][:, -1])

    return Net()


def hybrid(torch, services):
    nn = torch.nn
    first = -(-services // WIDE)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            layers, _, w, c = image(torch, services, [(1, first, FILTERS), (2, 1, FILTERS)])
            self.image = nn.Sequential(*layers)
            self.residual = nn.ModuleList(nn.Conv2d(c, c, k, padding=p) for k, p in [((1, 3), (0, 1)), ((3, 1), (1, 0))] * 2 + [((1, 3), (0, 1))])
            self.lstm = nn.LSTM(c, HIDDEN, 2, batch_first=True)
            self.shared = nn.Sequential(nn.Linear(3 * HIDDEN, SHARED), nn.ReLU(), nn.Linear(SHARED, first))
            self.whole = nn.Sequential(nn.Linear(w * HIDDEN, WHOLE), nn.ReLU(), nn.Linear(WHOLE, services + 1))

        def forward(self, x):
            x = self.image(x)
            for layer in self.residual:
                x = x + torch.relu(layer(x))
            n, c, h, w = x.shape
            lanes = self.lstm(x.permute(0, 3, 2, 1).reshape(n * w, h, c))[0][:, -1].reshape(n, w, HIDDEN)
            seen = torch.cat([lanes, lanes.mean(1, keepdim=True).expand_as(lanes), lanes.amax(1, keepdim=True).expand_as(lanes)], 2)
            y = self.whole(lanes.flatten(1))
            return y + torch.nn.functional.pad(self.shared(seen).flatten(1)[:, : services], (0, 1))

    return Net()


def works(torch):
    out = {}
    for services in (36, 386):
        for name, make in (("cnn", cnn), ("lstm", lstm), ("hybrid", hybrid)):
            net = make(torch, services).eval()
            x = torch.randn(1, CHANNELS, BEATS, services)

            def infer(net=net, x=x):
                with torch.no_grad():
                    torch.softmax(net(x).flatten(1), 1)

            infer()
            out[f"{services} services, {name}"] = (sum(p.numel() for p in net.parameters()), infer, 400)
    return out


if __name__ == "__main__":
    wanted = {f"{n} services, {name}": (f"Foresee{n}/{name}", 200, 0.5) for n in (36, 386) for name in ("cnn", "lstm", "hybrid")}
    compare.main("./model/foresee", wanted, works)
