"""What changes are worth, as rows around zero."""

from __future__ import annotations

import re

from convoscope.pictures.effects import EffectRow, effect_chart


def row(name: str, value: float, *, is_real: bool = False) -> EffectRow:
    return EffectRow(
        name=name, value=value, low=value - 0.01, high=value + 0.01, is_more_than_noise=is_real
    )


def test_a_gain_lies_right_of_a_loss_and_what_may_be_noise_is_gray() -> None:
    drawn = effect_chart([row("wide <kernel>", 0.03, is_real=True), row("narrow", -0.02)])
    dots = re.findall(r'<circle cx="([\d.]+)"[^>]*class="dot (\w+)"', drawn)
    (gain, real), (loss, noise) = [(float(x), tone) for x, tone in dots]
    assert gain > 202 > loss
    assert (real, noise) == ("strong", "quiet")
    assert "wide &lt;kernel&gt; +3 (+2 to +4)" in drawn
    assert "narrow −2 (−3 to −1)" in drawn
