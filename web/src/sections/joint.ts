// Do the damages of single components add up? One line, since the planner relies on it.

import type { Diagnosis, Report } from "../data";
import { p, section, strong } from "../dom";
import { isNumber, measured, number } from "../format";
import { natsPer } from "../unit";

type Joint = NonNullable<Diagnosis["joint"]>;

/** What the ratio says, where the error of what was measured together does not leave it open. */
function meaning(ratio: number, error: number | null): string {
  // The sum is of the same windows and mostly surer; two standard errors either way leave nothing to say.
  if (error !== null && Math.abs(ratio - 1) < 2 * error)
    return "within its error of 1: nothing here says that errors cancel or reinforce each other.";
  if (ratio < 0.9)
    return "together they do less damage than the sum: errors partly cancel, and a plan that sums them is cautious.";
  if (ratio <= 1.1) return "the damages simply add up, so a plan that sums them predicts well.";
  return "together they do more damage than the sum: errors reinforce each other, and a plan that sums them is optimistic.";
}

/** Of the ratio, from that of the damage of all together. */
function relativeError({ kl_nats_stderr: error, sum_isolated_kl_nats: sum }: Joint): number | null {
  return isNumber(error) && isNumber(sum) && sum > 0 ? error / sum : null;
}

export function joint(report: Report): HTMLElement | null {
  const data = report.diagnosis?.joint;
  if (!data) return null;
  return section(
    "joint",
    "Does it add up?",
    p(
      `All tensors quantized at once cost a KL of ${measured(data.kl_nats, data.kl_nats_stderr)} ${natsPer()}; their isolated damages sum to ${number(data.sum_isolated_kl_nats)}. `,
      isNumber(data.additivity_ratio) ? strong(`Additivity ratio ${number(data.additivity_ratio)}`) : "",
      isNumber(data.additivity_ratio) ? `: ${meaning(data.additivity_ratio, relativeError(data))}` : "",
    ),
  );
}
