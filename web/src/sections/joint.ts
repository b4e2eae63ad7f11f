// Do the damages of single components add up? One line, since the planner relies on it.

import type { Report } from "../data";
import { p, section, strong } from "../dom";
import { isNumber, measured, number } from "../format";
import { natsPer } from "../unit";

function meaning(ratio: number): string {
  if (ratio < 0.9)
    return "together they do less damage than the sum: errors partly cancel, and a plan that sums them is cautious.";
  if (ratio <= 1.1) return "the damages simply add up, so a plan that sums them predicts well.";
  return "together they do more damage than the sum: errors reinforce each other, and a plan that sums them is optimistic.";
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
      isNumber(data.additivity_ratio) ? `: ${meaning(data.additivity_ratio)}` : "",
    ),
  );
}
