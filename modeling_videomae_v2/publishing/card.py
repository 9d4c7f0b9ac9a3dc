# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Model cards: the facts that fill the template, and the metadata that the Hub reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import Template

from huggingface_hub import EvalResult, ModelCardData

from ..configuration_videomae_v2 import VideoMAEv2Config, published_size
from .texts import (
    CLASSIFIER_LIMITS,
    COMMON_LIMITS,
    DEFAULT_LICENCE,
    INTENDED_USE,
    KINDS,
    LICENCES,
    NOT_INTENDED,
    SIZE_NAMES,
    TEMPLATE,
    USAGES,
)


PAPER_URL = "https://arxiv.org/abs/2303.16727"


@dataclass(frozen=True)
class Result:
    """One measured accuracy.

    Attributes:
        dataset: Identifier of the data set, as in the metadata.
        dataset_name: Its name in words.
        metric: `"top-1"` or `"top-5"`.
        value: Per cent.
        views: Clips x crops whose scores were averaged, or what is known of them.
        source: Who measured it, and where it stands.
        source_url: Address of the source.
        split: Part of the data set; `None` where the source does not say.
        input: Frames and their side, as `"16 x 224"`.
        in_index: Whether it is a figure of these very weights, so that it enters the metadata too.
    """

    dataset: str
    dataset_name: str
    metric: str
    value: float
    views: str
    source: str
    source_url: str = PAPER_URL
    split: str | None = None
    input: str = "16 x 224"
    in_index: bool = True


@dataclass(frozen=True)
class CardFacts:
    """What a card says; lists and texts may be empty, and the card then says that it does not know.

    Attributes:
        name: Name of the repository or folder, as it stands in the code examples.
        title: Heading.
        architecture: Name of the model class.
        config: Configuration of the model.
        parameters: Number of its parameters.
        summary: First paragraph.
        licence: Identifier of the licence of the weights.
        licence_note: What else is to be said of it.
        tags: Tags beyond those that every card has.
        datasets: Identifiers of the training data.
        base_model: Identifier of the repository that it was trained from.
        base_model_relation: `"finetune"` and the like; only with `base_model`.
        before_use: Paragraph before the code examples.
        results: Measured accuracies.
        results_note: Paragraph under the table of results.
        data: Training data.
        training: How it was trained.
        limits: Limits beyond those that every card states.
    """

    name: str
    title: str
    architecture: str
    config: VideoMAEv2Config
    parameters: int
    summary: str
    licence: str = DEFAULT_LICENCE
    licence_note: str = ""
    tags: Sequence[str] = ()
    datasets: Sequence[str] = ()
    base_model: str | None = None
    base_model_relation: str | None = None
    before_use: str = ""
    results: Sequence[Result] = ()
    results_note: str = ""
    data: str = ""
    training: str = ""
    limits: Sequence[str] = ()


def card_metadata(facts: CardFacts) -> ModelCardData:
    """Metadata for the front matter. Results go into `model-index` with their source, marked as nobody else's."""
    indexed = [result for result in facts.results if result.in_index]
    extra = {"base_model_relation": facts.base_model_relation} if facts.base_model_relation else {}
    return ModelCardData(
        license=facts.licence,
        library_name="transformers",
        pipeline_tag=KINDS[facts.architecture][1],
        tags=["video", "vision", "videomae", "videomae-v2", "masked-autoencoder", *facts.tags],
        datasets=list(facts.datasets) or None,
        base_model=facts.base_model,
        model_name=facts.title if indexed else None,
        eval_results=[_eval_result(result) for result in indexed] or None,
        **extra,
    )


def card_text(facts: CardFacts) -> str:
    """The card, README.md of a model repository.

    Args:
        facts: What it says.

    Returns:
        Markdown with front matter, ending in a line feed.

    Raises:
        ValueError: The architecture or the licence is not known.
    """
    for value, known, what in (
        (facts.architecture, KINDS, "architecture"),
        (facts.licence, LICENCES, "licence"),
    ):
        if value not in known:
            raise ValueError(f"The {what} {value!r} is not known to model cards; known are {', '.join(known)}.")
    usage = USAGES[facts.architecture].substitute(name=facts.name)
    return TEMPLATE.substitute(
        metadata=card_metadata(facts).to_yaml().strip(),
        title=facts.title,
        summary=facts.summary.strip(),
        figures="\n".join(f"| {name} | {value} |" for name, value in _figures(facts)),
        usage="\n\n".join(part for part in (facts.before_use.strip(), usage) if part),
        results=_results_section(facts),
        data=facts.data.strip() or "Not stated.",
        training=facts.training.strip() or "Not stated.",
        intended_use=f"{INTENDED_USE[facts.architecture]}\n\n{NOT_INTENDED}",
        limits="\n".join(f"- {limit}" for limit in _limits(facts)),
        licence=_licence_section(facts),
    )


def size_name(config: VideoMAEv2Config) -> str:
    """`"ViT-B"` and so on where the encoder is one of the published sizes, else its width and depth."""
    size = published_size(config)
    return SIZE_NAMES[size] if size else f"ViT of width {config.hidden_size} and depth {config.num_hidden_layers}"


def _eval_result(result: Result) -> EvalResult:
    return EvalResult(
        task_type="video-classification",
        task_name="Video classification",
        dataset_type=result.dataset,
        dataset_name=result.dataset_name,
        dataset_split=result.split,
        metric_type="accuracy" if result.metric == "top-1" else "top-5-accuracy",
        metric_name=f"{result.metric} accuracy, {_of_views(result)}",
        metric_value=result.value,
        source_name=result.source,
        source_url=result.source_url,
    )


def _of_views(result: Result) -> str:
    return f"{result.views} views" if "x" in result.views else f"views {result.views}"


def _figures(facts: CardFacts) -> list[tuple[str, str]]:
    config = facts.config
    time, height, width = config.grid_size
    size = config.image_size
    figures = [
        ("Model", f"{size_name(config)}, {KINDS[facts.architecture][0]}"),
        ("Parameters", f"{facts.parameters:,}"),
        (
            "Encoder",
            f"{config.num_hidden_layers} blocks, width {config.hidden_size}, {config.num_attention_heads} heads",
        ),
        ("Clip", f"{config.num_frames} frames of {size} x {size} pixels, `(batch, frames, channels, height, width)`"),
        (
            "Tokens",
            f"{time} x {height} x {width} cubes of {config.tubelet_size} x {config.patch_size} x {config.patch_size}",
        ),
    ]
    if facts.architecture == "VideoMAEv2ForVideoClassification":
        figures.append(("Classes", f"{config.num_labels}"))
    if facts.architecture == "VideoMAEv2ForPreTraining":
        decoder = f"{config.decoder_num_hidden_layers} blocks, width {config.decoder_hidden_size}"
        figures += [("Decoder", decoder), ("Masks", _masks(config))]
    return figures


def _masks(config: VideoMAEv2Config) -> str:
    encoder = f"{config.mask_type.replace('_', ' ')} {config.mask_ratio:g} (encoder)"
    if config.decoder_mask_type is None:
        return f"{encoder}, none (decoder)"
    return f"{encoder}, {config.decoder_mask_type.replace('_', ' ')} {config.decoder_mask_ratio:g} (decoder)"


def _results_section(facts: CardFacts) -> str:
    if not facts.results:
        return facts.results_note.strip() or "No measured accuracy comes with this model."
    rows = ["| data set | input | views | metric | accuracy | measured by |", "|---|---|---|---|---|---|"]
    for result in facts.results:
        name = result.dataset_name + (f", {result.split}" if result.split else "")
        source = f"[{result.source}]({result.source_url})"
        rows.append(f"| {name} | {result.input} | {result.views} | {result.metric} | {result.value:.1f}% | {source} |")
    return "\n".join(rows) + (f"\n\n{facts.results_note.strip()}" if facts.results_note.strip() else "")


def _limits(facts: CardFacts) -> list[str]:
    config = facts.config
    names_one = facts.architecture == "VideoMAEv2ForVideoClassification" and config.has_exclusive_classes
    limits = [*(CLASSIFIER_LIMITS if names_one else ()), *facts.limits, *COMMON_LIMITS]
    return [Template(limit).substitute(num_frames=config.num_frames) for limit in limits]


def _licence_section(facts: CardFacts) -> str:
    name, url = LICENCES[facts.licence]
    text = f"Weights: [{name}]({url}). Code (`*.py`): Apache License 2.0."
    return f"{text} {facts.licence_note.strip()}".strip()


__all__ = ["PAPER_URL", "CardFacts", "Result", "card_metadata", "card_text", "size_name"]
