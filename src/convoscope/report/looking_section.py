"""The section of a run's report on what its network looks at: a few of its own images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from markupsafe import Markup

from convoscope.report.looking import (
    MOST_IMAGES,
    MOST_TARGETS,
    Shown,
    ShownImage,
    main_targets,
    shown_image,
)
from convoscope.report.looking_style import legend_style
from convoscope.report.shell import link
from convoscope.report.trust import judge_of
from convoscope.runs.explanation_files import explanations_of
from convoscope.runs.explanations import MethodSaid


@dataclass(frozen=True, slots=True, kw_only=True)
class LookingSection:
    """The section of a run's report: its own images, what the network looks at in each; ``page``
    is where more of it is.
    """

    images: tuple[ShownImage, ...]
    words: str
    methods: tuple[MethodSaid, ...]
    page: str
    legends: Markup


def looking_section(run: Path, beside: Path) -> LookingSection | None:
    """The last explanation of the run's own images, as a section of a page in ``beside``; ``None``
    without any.

    Raises:
        RunError: if the explanation is not whole.
    """
    own = [folder for folder in explanations_of(run) if folder.about.images_of and len(folder)]
    if not own:
        return None
    folder = own[-1]
    judge = judge_of(folder.path)
    return LookingSection(
        images=tuple(
            _brightened(
                judge(
                    shown_image(image, folder.about, targets=main_targets(image)[:MOST_TARGETS]),
                    image,
                )
            )
            for image in folder.images(MOST_IMAGES)
        ),
        words=folder.about.images_of,
        methods=folder.about.methods,
        page=link(folder.page_file, beside),
        legends=legend_style(),
    )


def _brightened(image: ShownImage) -> ShownImage:
    """The image with the brighter of two pictures alone: a report has no switch between them."""
    return replace(
        image,
        targets=tuple(
            replace(target, views=tuple(_bright(view) for view in target.views))
            for target in image.targets
        ),
    )


def _bright(view: Shown) -> Shown:
    if not view.bright:
        return view
    return replace(view, uri=view.bright, high=f"≥{view.bright_high}", bright="", bright_high="")
