// What would make a careful reader doubt the numbers. No section when there is nothing to say.

import { comparison, heldInstead, verdict, type Report } from "../data";
import { el, section } from "../dom";
import { bytes, count, isNumber, number } from "../format";
import { natsPer, ofImages } from "../unit";

/** [what is wrong, what it means] */
export function findWarnings(report: Report): [string, string][] {
  const found: [string, string][] = [];
  const shared = report.provenance.shared_token_runs;
  if (isNumber(shared) && shared > 0)
    found.push([
      ofImages()
        ? `Calibration and evaluation share ${count(shared)} images.`
        : `Calibration and evaluation texts share ${count(shared)} ${shared === 1 ? "run" : "runs"} of 50 tokens (or whole documents).`,
      `The plan has partly seen what it is judged on, so the measured damage may be too small. Evaluate on other ${ofImages() ? "images" : "text"}.`,
    ]);
  for (const file of report.left_out ?? [])
    found.push([`${file} is of another model and is not shown.`, "Make it again for this one, or take it out of the folder."]);
  const control = report.diagnosis?.control_kl_nats;
  if (isNumber(control) && control !== 0)
    found.push([
      `The control that quantizes nothing shows a KL of ${number(control)} nats; it must be exactly 0.`,
      "The sensitivities below carry an error of at least that size.",
    ]);
  const held = heldInstead(report);
  if (held)
    found.push([
      `model.gguf holds ${held.label}, not the plan.`,
      held.kind === "reference"
        ? "It fits the budget as it is, and no model made from it can be nearer to it."
        : "It measured better within the same budget, and what is measured decides.",
    ]);
  const { plan, rival } = comparison(report);
  if (plan && !plan.budget_fits)
    found.push([
      `The plan (${bytes(plan.bytes)}) exceeds the budget of ${bytes(report.results?.budget_bytes)}.`,
      "It cannot be shipped under this budget.",
    ]);
  if (plan && rival && isNumber(plan.kl_nats) && isNumber(rival.kl_nats)) {
    const result = verdict(plan, rival);
    if (result === "worse")
      found.push([
        `The plan is not better than ${rival.label}.`,
        `KL ${number(plan.kl_nats)} against ${number(rival.kl_nats)} ${natsPer()}: use that one at this budget.`,
      ]);
    if (result === "unclear")
      found.push([
        `The plan is not clearly better than ${rival.label}.`,
        "The difference is below two standard errors; more windows would tell.",
      ]);
  }
  return found;
}

export function warnings(report: Report): HTMLElement | null {
  const found = findWarnings(report);
  if (found.length === 0) return null;
  return section(
    "warnings",
    found.length === 1 ? "A warning" : `${found.length} warnings`,
    el(
      "ul",
      { class: "warnings" },
      ...found.map(([what, meaning]) => el("li", null, el("strong", null, what), " ", meaning)),
    ),
  );
}
