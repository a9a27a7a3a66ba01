"""The soft attention LSTM as one would write it in PyTorch, to be timed beside ours."""

import torch


class TorchRecurrence(torch.nn.Module):
    """Sharma et al. 2015, Eq. 1-5, from zero states, with PyTorch's own LSTM cells.

    Takes `(batch, frames, regions, features)`, returns the top states `(batch, frames, units)`.
    """

    def __init__(self, regions, features, units, depth, attention):
        super().__init__()
        self.units = units
        self.by_content = attention == "content"
        if self.by_content:
            self.value = torch.nn.Linear(features, units)
            self.query = torch.nn.Linear(units, units, bias=False)
            self.score = torch.nn.Linear(units, 1, bias=False)
        else:
            self.score = torch.nn.Linear(units, regions, bias=False)
        self.cells = torch.nn.ModuleList(
            torch.nn.LSTMCell(units if layer else features, units) for layer in range(depth)
        )

    def forward(self, features):
        zeros = features.new_zeros((features.shape[0], self.units))
        states = [(zeros, zeros) for _ in self.cells]
        hidden_states = []
        values = self.value(features) if self.by_content else None
        for t in range(features.shape[1]):
            top = states[-1][0]
            if self.by_content:
                scores = self.score(torch.tanh(values[:, t] + self.query(top)[:, None]))[..., 0]
            else:
                scores = self.score(top)
            weights = torch.softmax(scores, -1).to(features.dtype)
            x = torch.bmm(weights[:, None], features[:, t])[:, 0]
            for layer, cell in enumerate(self.cells):
                states[layer] = cell(x, states[layer])
                x = states[layer][0]
            hidden_states.append(x)
        return torch.stack(hidden_states, 1)
