// The contract of report.json, and the few choices that several sections share. Numbers may be null ("not measured").

import type { Activations } from "./activations";
import { isNumber } from "./format";
import type { WhoPays } from "./who_pays";

export type Num = number | null;

export interface Report {
  schema_version: number;
  title: string;
  provenance: Provenance;
  results: { metrics?: Metric[]; rows: ResultRow[]; budget_bytes: Num } | null;
  groups: { metrics?: Metric[]; rows: GroupRow[] } | null;
  diagnosis: Diagnosis | null;
  plan: Plan | null;
  front?: FrontPoint[] | null; // the plans of all budgets, foretold
  confirmation?: Confirmation | null; // what was measured to confirm a screen; null: nothing, or everything
  refinement?: Refinement | null; // what was measured around the plan; null: nothing
  limit?: Limit | null; // the rate-distortion bound; null: not computed
  reliability?: Reliability | null; // reliability.json, as it is
  finetune?: Finetune | null;
  who_pays?: WhoPays | null; // groups.json; null: not measured
  activations?: Activations | null; // activations.json; null: not measured
  protection?: Protection | null; // protection.json, as it is
  left_out?: string[] | null; // files in the run's folder that are of another model
}

/** What keeping some of a quantized model in 16 bits undoes. */
export interface Protection {
  scheme: string;
  base_bytes: Num;
  base_kl_nats: Num;
  curves: ProtectionCurve[];
}

export interface ProtectionCurve {
  unit: string; // matrix, column, weight, feature
  chosen_by: string;
  knee_share: Num;
  knee_recovery: Num;
  points: { share: Num; added_bytes: Num; pieces: Num; kl_nats: Num; recovery: Num }[];
}

/** Of several models on the same examples; the first one is what the others are compared with. */
export interface Reliability {
  data: { name: string; examples: Num };
  models: string[];
  dimensions: ReliabilityDimension[];
}

export interface ReliabilityDimension {
  key: string;
  name: string;
  notes: string[];
  headline?: string; // a sentence of all models; "" for a single one
  claim?: ConfidenceClaim | null; // of confidence beside other models
  summary: { model: string; comparison: string; text: string }[];
  rows: ReliabilityRow[];
  diagrams: ConfidenceDiagram[];
}

/** A claim about confidence, with every case that speaks to it. */
export interface ConfidenceClaim {
  claim: string;
  verdict: string;
  reason: string;
  cases: {
    model: string;
    group: string; // "" for all examples
    confidence_less_accuracy: Num; // the original's
    original: string; // "under-confident", "over-confident", "undecided"
    change: Num; // of the calibration error
    change_interval: [Num, Num];
    calibration: string;
  }[];
}

export interface ReliabilityRow {
  key: string;
  name: string;
  unit: string; // "share" in [0, 1], "nats", "" for none
  worse: string;
  condition: string; // corruption, attack or score
  level: Num; // severity or radius
  group: string; // "" for all examples
  detail: boolean; // one of many that a row of means speaks for
  models: { value: Num; interval: [Num, Num]; change?: Num; comparison?: "better" | "worse" | "undecided" }[];
}

export interface ConfidenceDiagram {
  model: string;
  bins: { low: Num; high: Num; examples: number; confidence: Num; accuracy: Num }[];
}

export interface Limit {
  curve: { bytes: Num; kl_nats: Num }[]; // least KL of any code, by file size
  rows: LimitRow[];
}

/** Factors that multiply to the ratio. */
export interface LimitRow {
  label: string;
  limit_kl_nats: Num;
  ratio: Num; // measured KL over the limit
  scales: Num;
  types: Num;
  directions: Num;
  scalar_grid: Num;
  fixed_rate: Num;
  rounding: Num;
}

export interface FrontPoint {
  bytes: Num;
  bits_per_weight: Num;
  predicted_kl_nats: Num;
}

export interface Confirmation {
  factor: Num; // exact over foretold damage, of matrices of layers
  factor_log_slope?: Num; // of the last layer less the first; absent in older files
  factor_log_spread: Num;
  doubt_kl_nats: Num;
  complete: boolean;
  matrices: {
    tensor: string;
    why: string;
    scheme: string;
    foretold_kl_nats: Num;
    kl_nats: Num;
    kl_nats_stderr: Num;
    windows: Num;
  }[];
}

/** A second round: exchanges made in the quantized model, one at a time. */
export interface Refinement {
  kept: boolean;
  factor: Num; // measured over foretold differences, over all exchanges
  changed: Num; // matrices that the two plans hold in different schemes
  before_kl_nats: Num; // of the two plans on windows that chose neither
  before_kl_nats_stderr: Num;
  after_kl_nats: Num;
  after_kl_nats_stderr: Num;
  exchanges: {
    tensors?: string[]; // one, or all that must be alike; absent in older files
    tensor?: string; // older files
    from: string;
    to: string;
    foretold_kl_nats: Num;
    measured_kl_nats: Num;
  }[];
}

export interface Provenance {
  tool_version: string;
  libtorch: string;
  model: {
    name: string;
    hash: string;
    family: string;
    parameters: Num;
    layers: Num;
    heads: Num;
    kv_heads: Num;
    hidden: Num;
    vocabulary: Num;
  };
  // Of texts tokens and windows, of images their number.
  calibration: {
    name: string;
    tokens?: Num;
    windows?: Num;
    images?: Num;
    held_back?: Num; // images of the evaluated set that the plan was made from
    hash: string;
  } | null;
  evaluation: { name: string; tokens?: Num; windows?: Num; context?: Num; images?: Num; hash: string } | null;
  groups?: { name: string; tokens: Num; windows: Num; context: Num; hash: string } | null;
  shared_token_runs: Num; // runs of 50 tokens, or whole documents, found in both calibration and evaluation
  options: Record<string, unknown>;
  seed: Num;
  artefacts: Record<string, string>; // name -> content hash
}

/** A figure that rows hold under `key`, with its standard error under key + "_stderr". */
export interface Metric {
  key: string;
  title: string;
  meaning: string;
  unit: string; // "nats", "bits"; "share" in [0, 1]; "" for none
  per: string; // token, document, byte
  worse: string; // higher, lower, neither
}

/** What every page shows of a model; the other metrics stand beside these. */
export interface ResultRow {
  label: string;
  kind: "reference" | "uniform" | "preset" | "plan";
  bytes: Num;
  bits_per_weight: Num;
  perplexity: Num;
  perplexity_stderr: Num;
  kl_nats: Num; // per predicted token, against the reference
  kl_nats_stderr: Num;
  same_top_share: Num;
  same_top_share_stderr?: Num;
  accuracy_share?: Num; // of images
  budget_fits: boolean;
  method?: string | null; // how its values were searched
}

export interface GroupRow {
  plan: string; // label of a result row
  group: string;
  documents: Num;
  tokens: Num;
  bytes: Num;
  reference_nll_bits_per_byte: Num;
  delta_nll_nats_per_document: Num;
  delta_nll_nats_per_document_stderr: Num;
  kl_nats: Num;
  kl_nats_stderr: Num;
}

export interface Component {
  name: string; // "L3.head5"
  kind: string; // head, kv_head, ffn, expert, router, tensor, layer, embed, lm_head
  layer: number; // -1 outside the layers
  index: number;
  tensor: string | null; // role, such as ffn_down, for kind "tensor"
  kl_nats: Num;
  kl_nats_stderr: Num;
  delta_nll_nats: Num;
  delta_nll_nats_stderr: Num;
  same_top_share: Num;
  parameters: Num;
  foretold?: boolean; // by a screen, not measured
  groups?: Record<string, { kl_nats: Num; kl_nats_stderr: Num; delta_nll_nats: Num; delta_nll_nats_stderr: Num }>;
}

/** How a component's damage spreads over groups, against how that of all components does. */
export interface GroupProfile {
  name: string; // of the component
  explained_share: Num;
  group: string; // that makes the most of it
  factor: Num; // this group's damage over what all components together would make one expect
  factors?: Record<string, Num>; // the same of every group; absent in older files
  p: Num; // among all components
}

export interface Spread {
  kind: string;
  count: Num;
  min: Num;
  max: Num;
  range: Num;
  mean: Num;
  standard_deviation: Num;
  coefficient_of_variation: Num;
}

export interface Interval {
  value: Num;
  low: Num;
  high: Num;
}

export interface FinetuneGroup {
  name: string; // "" for all
  examples: Num;
  scored: Num;
  models: {
    kl_nats: Num;
    kl_nats_stderr: Num;
    loss_nats: Num;
    loss_nats_stderr: Num;
    right_share: Num;
  }[]; // as Finetune.models
  change: { kl_nats: Interval; nll_nats: Interval; right_share: Interval } | null; // after less before, paired
}

export interface Finetune {
  plan: string;
  file_bytes: Num;
  measured_on: { name: string; held_out: boolean };
  curves: {
    name: string; // "trained", "control"
    best_step: number;
    objective: string | null; // what the kept checkpoint had least of
    stopped: string;
    points: {
      step: number;
      training_loss: Num;
      kl_nats: Num;
      worst_kl_nats: Num;
      worst_group: string;
    }[];
  }[];
  models: string[]; // full precision first, then before, after and maybe the control
  loss_per_byte: boolean;
  all: FinetuneGroup;
  groups: FinetuneGroup[];
}

export interface WeightFact {
  tensor: string;
  layer: number;
  role: string;
  kl_nats: Num;
  [fact: string]: string | Num;
}

export interface Diagnosis {
  scheme: string;
  fallbacks?: string[] | null; // what stood in for the scheme, a line for all matrices alike
  tokens: Num;
  windows: Num;
  unit?: string | null; // what nats are per: "token" where it is not said, "image"
  noise_floor_kl_nats: Num;
  control_kl_nats: Num;
  components: Component[];
  groups?: { name: string; windows: Num; tokens: Num }[] | null; // of the windows; Component.groups has their damage
  group_profiles?: { permutations: Num; p: Num; components: GroupProfile[] } | null; // the most different first
  differential_bias: Spread[];
  joint: { kl_nats: Num; kl_nats_stderr: Num; sum_isolated_kl_nats: Num; additivity_ratio: Num } | null;
  weight_facts: WeightFact[];
  rank_correlation: { fact: string; spearman: Num; count: Num }[];
}

export interface PlanEntry {
  tensor: string;
  layer: number;
  role: string;
  rows: Num;
  cols: Num;
  scheme: string;
  bytes: Num;
  bits_per_weight: Num;
  predicted_kl_nats: Num;
  reason: string;
  left?: number; // of rounding's damage, by the search of its values
}

export interface Plan {
  method?: string; // that search, where what it leaves is known
  label: string; // of the result row that model.gguf holds
  target: string;
  budget_text: string;
  budget_bytes: Num;
  file_bytes: Num;
  predicted_kl_nats: Num;
  lower_bound_kl_nats: Num;
  gap: Num;
  objective?: {
    name: string; // "worst-group", "weighted"
    kl_nats: Num;
    lower_bound_kl_nats: Num;
    groups: { group: string; weight: Num; kl_nats: Num; least_kl_nats: Num }[];
  } | null; // absent for the mean
  entries: PlanEntry[];
}

export function readReport(): Report {
  const report = JSON.parse(document.getElementById("report-data")?.textContent ?? "") as Report;
  if (report === null || typeof report !== "object") throw new Error("the report data is not an object");
  if (report.schema_version !== 1)
    throw new Error(`this page reads schema_version 1, the data says ${String(report.schema_version)}`);
  return report;
}

const byKl = (a: ResultRow, b: ResultRow) => (a.kl_nats as number) - (b.kl_nats as number);

export function budgetBytes(report: Report): Num {
  return report.results?.budget_bytes ?? report.plan?.budget_bytes ?? null;
}

/** What model.gguf holds instead of the plan: a uniform model that measured better, or the source itself; or null. */
export function heldInstead(report: Report): ResultRow | null {
  const held = report.results?.rows.find((row) => row.label === report.plan?.label);
  return held && held.kind !== "plan" ? held : null;
}

/** What the headline compares: the least damaged plan, and the least damaged of uniform models and llama.cpp's own mix, each
 * within the budget. */
export function comparison(report: Report) {
  const rows = report.results?.rows ?? [];
  const fitting = rows.filter((row) => row.budget_fits && isNumber(row.kl_nats)).sort(byKl);
  return {
    reference: rows.find((row) => row.kind === "reference") ?? null,
    plan: fitting.find((row) => row.kind === "plan") ?? rows.find((row) => row.kind === "plan") ?? null,
    rival: fitting.find((row) => row.kind === "uniform" || row.kind === "preset") ?? null,
  };
}

/** "better", "worse" or "unclear" by two standard errors of the difference, taken as independent (the cautious side). */
export function verdict(plan: ResultRow, uniform: ResultRow): "better" | "worse" | "unclear" {
  const difference = (uniform.kl_nats ?? NaN) - (plan.kl_nats ?? NaN);
  const error = Math.hypot(uniform.kl_nats_stderr ?? 0, plan.kl_nats_stderr ?? 0);
  if (!(Math.abs(difference) > 2 * error)) return "unclear";
  return difference > 0 ? "better" : "worse";
}
