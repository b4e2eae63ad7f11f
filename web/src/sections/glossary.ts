// The words that this page uses, for readers who do not quantize for a living.

import type { Report } from "../data";
import { el, section } from "../dom";
import { ofImages } from "../unit";

/** A term, its meaning, and how a page that uses it says it; nothing: every page does. */
type Term = [term: string, meaning: string, said?: RegExp];

const OF_IMAGES: Term[] = [
  [
    "KL (Kullback-Leibler divergence)",
    "How differently two models spread their probability over the classes of an image, averaged over images, in nats. 0 means identical answers.",
  ],
  ["Same class", "The share of images that both models put into the same class.", /same class/i],
];

const OF_TEXT: Term[] = [
  [
    "KL (Kullback-Leibler divergence)",
    "How differently two models spread their probability over the next token, averaged over tokens, in nats. 0 means identical answers. It notices every shift, also those that leave the text's own probability unchanged.",
  ],
  [
    "Perplexity",
    "The exponential of the mean surprise per token: among how many equally likely tokens the model seems to choose.",
    /perplexity/i,
  ],
  ["Same first choice", "The share of positions at which both models find the same token most likely.", /same first choice|same top/i],
  [
    "Bits per byte",
    "Surprise per byte of text instead of per token, so that languages with longer or shorter tokens can be compared.",
    /bits (per|\/) ?byte/i,
  ],
];

const TERMS: Term[] = [
  ["Nat", "A unit of information: 1 nat is 1.44 bits.", /\bnats?\b/],
  [
    "ΔNLL",
    "How much more surprised the quantized model is by the real answers than the original: the difference of negative log-likelihoods. It can be below 0 by luck.",
    /ΔNLL/,
  ],
  ["Bits per weight", "Stored bits divided by the number of weights, scales and other overhead included.", /bits (per|\/) ?weight/i],
  [
    "Limit",
    "The least KL that any code of the weights could have in a number of bytes, by rate-distortion theory. It takes weights as Gaussian and damage to second order, so it is an estimate; no file that is made from weights in full precision reaches it.",
    /limit/i,
  ],
  ["Uniform model", "The same number format for all tensors, as most tools do it. A plan chooses a format per tensor.", /uniform/i],
  [
    "Isolated quantization",
    "One component is quantized and everything else stays as it was, so that the damage has one cause.",
    /isolat|alone/i,
  ],
  [
    "Excess loss",
    "By how much the loss of a group rises when the model is quantized. Whether a group pays more than the others is judged by the difference of its excess loss to theirs.",
    /excess loss/i,
  ],
  [
    "Random groups",
    "Groups of the same size drawn by lot. What they show too is no trait of the true group.",
    /random groups|by lot/i,
  ],
  [
    "Site",
    "A place where activations enter matrices: the normed stream before q, k and v, the heads side by side before the attention output, and so on. Keys, values and the residual stream are looked at too.",
    /\bsites?\b/i,
  ],
  [
    "Massive activation",
    "A value more than 100 times larger than the median of its site. A few tokens, mostly the first one, carry them, and rounding on a grid that spans them flattens everything else.",
    /massive/i,
  ],
  [
    "Head, KV head, FFN",
    "The parts of a transformer layer: attention heads read other positions; KV heads hold what they read; the feed-forward network (FFN) works on each position alone.",
    /\bheads?\b|FFN|feed-forward/i,
  ],
  [
    "Differential bias",
    "How unevenly quantization hits components of the same kind: the range and the deviation of their damage.",
    /differential bias/i,
  ],
  [
    "Additivity ratio",
    "Damage of everything quantized together, divided by the sum of the isolated damages. At 1, damages add up.",
    /additiv/i,
  ],
  [
    "Control and noise floor",
    "The control takes the whole measuring path but changes nothing, so its KL must be exactly 0. The noise floor is what rounding in the arithmetic alone produces; below it nothing can be told.",
    /noise floor|\bcontrol\b/i,
  ],
  [
    "Excess kurtosis, largest weight / σ",
    "How heavy the tails of a tensor's weights are: outliers stretch the grid on which all others must fit.",
    /kurtosis|σ/,
  ],
  ["SQNR", "Signal to quantization noise ratio of the weights, in decibels: higher is more exact.", /SQNR/],
  ["Spearman", "Correlation of ranks: 1 if two quantities order the tensors alike, −1 if in reverse.", /Spearman/],
  [
    "Standard error (±)",
    "The uncertainty of a mean because only some examples were measured. Of many independent ones the true value lies within two of them in about 95 of 100 cases; of a handful, such as a group of five documents, in fewer.",
    /±/,
  ],
];

const OF_RELIABILITY: Term[] = [
  [
    "Calibration error (ECE), worst bin (MCE)",
    "Answers are put into bins by how sure the model is of them: the distance between confidence and accuracy, averaged over bins by their size, and that of the worst bin.",
    /calibration error/i,
  ],
  ["Brier score", "The squared distance between a model's probabilities and the right answer, averaged: lower is better.", /Brier/],
  [
    "AUROC, FPR95",
    "How well a score tells what the model was taught from what it never saw: the chance that it ranks a pair rightly, and the share of strangers that pass where 95% of the known do.",
    /AUROC|FPR/,
  ],
  [
    "FGSM, PGD, square attack",
    "Ways to change an image so little that nobody sees it until the answer is another: one step along the gradient, many of them, and a search that asks for answers alone.",
    /FGSM|PGD|square attack/i,
  ],
];

/** @param page the text of all other sections */
export function glossary(report: Report, page: string): HTMLElement {
  const terms = [...(ofImages() ? OF_IMAGES : OF_TEXT), ...(report.reliability ? OF_RELIABILITY : []), ...TERMS];
  return section(
    "glossary",
    "Glossary",
    el(
      "dl",
      { class: "glossary" },
      ...terms
        .filter(([, , said]) => said === undefined || said.test(page))
        .flatMap(([term, meaning]) => [el("dt", null, term), el("dd", null, meaning)]),
    ),
  );
}
