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
FILTERS, LAST, LSTM, HIDDEN = 16, 20, 44, 48


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


def recurrent(torch, services, first, layers, hidden, last):
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            convolutions, _, w, c = image(torch, services, first)
            self.image = torch.nn.Sequential(*convolutions) if convolutions else None
            self.lstm = torch.nn.LSTM(w * c, hidden, layers, batch_first=True)
            self.last = torch.nn.Sequential(*last, torch.nn.Linear(hidden, services + 1))

        def forward(self, x):
            if self.image is not None:
                x = self.image(x)
            x = x.permute(0, 2, 3, 1).flatten(2)  # beats, then services and channels
            return self.last(self.lstm(x)[0][:, -1])

    return Net()


def lstm(torch, services):
    return recurrent(torch, services, [], 3, LSTM, [])


def hybrid(torch, services):
    s = -(-services // WIDE)
    first = [(1, s, FILTERS), (1, 1, FILTERS), (1, 2, FILTERS), (1, 1, FILTERS), (1, 1, FILTERS), (1, 2, FILTERS), (1, 1, FILTERS)]
    return recurrent(torch, services, first, 2, HIDDEN, [torch.nn.Linear(HIDDEN, HIDDEN), torch.nn.ReLU()])


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
