"""The caption decoder and its beam search as one would write them in PyTorch, to be timed."""

import torch


class TorchCaptioner(torch.nn.Module):
    """Sharma's thesis, Eq. 3.1-3.5, with attention by state and PyTorch's own LSTM cell.

    Takes `(batch, regions, features)`; returns token ids `(batch, beams, words)` and scores.
    """

    def __init__(self, regions, features, units, embedding_dim, vocabulary_size):
        super().__init__()

        def linear(inputs, outputs, bias=False):
            return torch.nn.Linear(inputs, outputs, bias=bias)

        self.embedding = torch.nn.Embedding(vocabulary_size, embedding_dim)
        self.start = torch.nn.ModuleList(
            torch.nn.Sequential(
                linear(features, units, True), torch.nn.Tanh(), linear(units, units, True)
            )
            for _ in range(2)
        )
        self.attention = linear(units, regions)
        self.gate = torch.nn.Sequential(
            linear(units, units, True), torch.nn.Tanh(), linear(units, 1, True)
        )
        self.cell = torch.nn.LSTMCell(embedding_dim + features, units)
        self.hidden_output = linear(units, embedding_dim)
        self.context_output = linear(features, embedding_dim)
        self.output = linear(embedding_dim, vocabulary_size)

    def step(self, token_ids, h, c, features):
        """One word of `(batch * beams,)` captions: log-probabilities and states."""
        word = self.embedding(token_ids)
        weights = torch.softmax(self.attention(h), -1)
        gate = torch.sigmoid(self.gate(h))
        context = gate * torch.bmm(weights[:, None], features)[:, 0]
        h, c = self.cell(torch.cat([word, context], -1), (h, c))
        logits = self.output(word + self.hidden_output(h) + self.context_output(context))
        return torch.log_softmax(logits, -1), h, c

    @torch.no_grad()
    def forward(self, features, beam_width, max_words, start_token_id, end_token_id):
        batch, device = len(features), features.device
        mean = features.mean(1)
        h, c = (torch.tanh(layers(mean)).repeat_interleave(beam_width, 0) for layers in self.start)
        features = features.repeat_interleave(beam_width, 0)
        scores = torch.full((batch, beam_width), float("-inf"), device=device)
        scores[:, 0] = 0
        last = torch.full((batch * beam_width,), start_token_id, device=device)
        finished = torch.zeros((batch, beam_width), dtype=torch.bool, device=device)
        captions = torch.zeros((batch, beam_width, 0), dtype=torch.long, device=device)
        first_row = torch.arange(batch, device=device)[:, None] * beam_width
        for _ in range(max_words):
            log_probabilities, h, c = self.step(last, h, c, features)
            vocabulary_size = log_probabilities.shape[-1]
            log_probabilities = log_probabilities.view(batch, beam_width, -1)
            ended = torch.full((vocabulary_size,), float("-inf"), device=device)
            ended[end_token_id] = 0
            log_probabilities = torch.where(finished[..., None], ended, log_probabilities)
            scores, chosen = (scores[..., None] + log_probabilities).flatten(1).topk(beam_width)
            beams, tokens = chosen // vocabulary_size, chosen % vocabulary_size
            rows = (first_row + beams).flatten()
            h, c = h[rows], c[rows]
            captions = captions.flatten(0, 1)[rows].view(batch, beam_width, -1)
            captions = torch.cat([captions, tokens[..., None]], -1)
            finished = finished.gather(1, beams) | (tokens == end_token_id)
            last = tokens.flatten()
            if finished.all():
                break
        return captions, scores
