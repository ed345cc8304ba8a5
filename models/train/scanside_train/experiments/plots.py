"""Pictures of curves and tables, each as PNG and SVG."""

from pathlib import Path

NAMES = {"control": "Control", "covid19": "Covid-19", "cap": "CAP", "micro": "micro average", "macro": "macro average"}
COLOURS = {"control": "#3b7a57", "covid19": "#7a2fb5", "cap": "#c46a1b", "micro": "#222222", "macro": "#888888"}


def drawing():
    """matplotlib, without a display and with files that do not carry the hour."""
    try:
        import matplotlib
    except ImportError:
        raise SystemExit("matplotlib is needed for pictures: pip install -r requirements-extra.txt") from None
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "scanside"
    import matplotlib.pyplot as plt
    return plt


def save(figure, path):
    path = Path(path)
    figure.savefig(path.with_suffix(".png"), dpi=150, bbox_inches="tight", metadata={"Software": None})
    figure.savefig(path.with_suffix(".svg"), bbox_inches="tight", metadata={"Date": None})
    drawing().close(figure)


def roc(path, curves, areas):
    figure, axes = drawing().subplots(figsize=(4.5, 4.5))
    axes.plot([0, 1], [0, 1], color="#cccccc", linewidth=0.8)
    for name, (f, t) in curves.items():
        axes.plot(f, t, color=COLOURS[name], linestyle="--" if name in ("micro", "macro") else "-", label=f"{NAMES[name]}, area {areas[name]:.3f}")
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    if curves:
        axes.legend(loc="lower right", fontsize=8, frameon=False)
    save(figure, path)


def confusion(path, table, labels):
    figure, axes = drawing().subplots(figsize=(3.6, 3.6))
    axes.imshow(table / table.sum(1, keepdims=True).clip(1), cmap="Purples", vmin=0, vmax=1)
    for row, counts in enumerate(table):
        for column, n in enumerate(counts):
            axes.text(column, row, str(n), ha="center", va="center", color="white" if n > 0.6 * max(1, counts.sum()) else "black")
    names = [NAMES[k] for k in labels]
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names, rotation=90, va="center")
    axes.set(xlabel="called", ylabel="truth")
    save(figure, path)
