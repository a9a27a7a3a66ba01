"""The scores of highlighted frames, pair by pair and place by place, without NumPy."""


def loops_score(frames, weights, interval):
    """The definitions, pair by pair and place by place, for weights that all differ."""
    inside = [interval[0] <= frame < interval[1] for frame in frames]
    ranked = sorted(zip(weights, inside, strict=True), reverse=True)
    hits, precision = 0, 0.0
    for place, (_, hit) in enumerate(ranked, start=1):
        hits += hit
        precision += hit * hits / place
    pairs = [
        float(a > b)
        for a, one in zip(weights, inside, strict=True)
        for b, other in zip(weights, inside, strict=True)
        if one and not other
    ]
    return {
        "average_precision": precision / hits,
        "base_rate": sum(inside) / len(inside),
        "peak_inside": float(ranked[0][1]),
        "mass_inside": sum(w for w, hit in zip(weights, inside, strict=True) if hit) / sum(weights),
        "auc": sum(pairs) / len(pairs),
    }
