// Exported files in the real llama.cpp: the same token ids must get the log-probabilities that `vernier evaluate` gives
// them, the same text the same ids. VERNIER names the program, MODEL the folder of demo-5m, FIXTURES that of the tiny
// models, WORK a folder for folders of its own.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import test, { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { getLlama, GgmlType, LlamaLogLevel, readGgufFileInfo } from "node-llama-cpp";

const MIXED_RECIPE = fileURLToPath(new URL("mixed.recipe", import.meta.url));

/**
 * In f32 only llama.cpp's f16 attention cache is between us: median |delta log p| 0.0003 nats on 1,022 tokens. On
 * quantized matrices llama.cpp also rounds activations to 8 bits, in blocks of 32 or, for K-quants, of 256, and each
 * rounding turns the last bits of a sum into whole steps: on the file of all types its own builds for other processors
 * (haswell, sse42), and its own attention with and without flash, are 0.022 apart, on q8_0 0.014. Nobody can be nearer
 * than that. The noise is of both signs, so the mean moves less than 0.2%.
 */
const FILES = {
  f32: { options: ["--scheme", "f32"], relative: 0.001, median: 0.002 },
  q8_0: { options: ["--scheme", "gguf:q8_0"], relative: 0.003, median: 0.02 },
  planned: { budget: "8bpw", relative: 0.003, median: 0.02 },
  mixed: { options: ["--recipe", MIXED_RECIPE], relative: 0.003, median: 0.03 },
};
const MIN_TOKENS = 250;
const Q8_0_BLOCK = { values: 32, bytes: 34 };

/** One text for one run of the program; each line has something that a pre-tokenizer can get wrong. */
const MULTILINGUAL = [
  "The quick brown fox can't jump over 1234567890 lazy dogs.",
  "  two  leading spaces,\ttab,\r\n\r\n  a blank line  ",
  "Größe, Fuß, naïve café; Łódź, čeština, tiếng Việt",
  "Съешь же ещё этих мягких французских булок",
  "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία",
  "مرحبا بالعالم، هذا اختبار",
  "नमस्ते दुनिया, यह एक परीक्षण है",
  "今日は世界。天气很好！안녕하세요",
  "👩‍👩‍👧 🙂🏽 e\u0301 = é; 𝒳 ≠ X; x₁² ½",
  "for (int i = 0; i < n; ++i) { sum += a[i] * 1e-3f; } // <s></s><|endoftext|>",
].join("\n");

const required = (name) => process.env[name] || assert.fail(`${name} is not set; see the head of this file`);
const program = required("VERNIER");
const model = resolve(required("MODEL"));
const parent = resolve(required("WORK"));
mkdirSync(parent, { recursive: true });
const work = mkdtempSync(join(parent, "run-")); // another run beside this one has its own
const fixtures = resolve(required("FIXTURES"));
const path = (name) => join(work, `${name}.gguf`);
const vernier = (...args) => execFileSync(program, ["--quiet", ...args], { encoding: "utf8", maxBuffer: 1 << 28 });

/** The tiny models have 320 ids and no tokenizer: GPT-2's byte alphabet, split by llama3's expression, is one. */
function byte_tokenizer() {
  const printable = (byte) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  let next = 256;
  const vocabulary = Object.fromEntries(
    Array.from({ length: 256 }, (_, byte) => [String.fromCodePoint(printable(byte) ? byte : next++), byte]),
  );
  const llama3 = JSON.parse(readFileSync(join(fixtures, "../tokenizers/llama3/tokenizer.json"), "utf8"));
  return { pre_tokenizer: llama3.pre_tokenizer, model: { type: "BPE", vocab: vocabulary, merges: [] } };
}

let llama;

before(async () => {
  const calibration = join(work, "calibration.safetensors");
  vernier("calibrate", model, "--windows", "8", "-o", calibration);
  const diagnosis = join(work, "diagnosis.json");
  const kinds = "tensor,embed,lm_head";
  vernier("diagnose", model, "--calibration", calibration, "--kinds", kinds, "--windows", "2", "-o", diagnosis);
  for (const [name, { options, budget }] of Object.entries(FILES)) {
    const plan = join(work, `${name}.plan.json`);
    if (budget) vernier("plan", model, "--diagnosis", diagnosis, "--budget", budget, "-o", plan);
    vernier("export", model, ...(options ?? ["--plan", plan]), "--calibration", calibration, "-o", path(name));
  }
  llama = await getLlama({ build: "never", gpu: false, logLevel: LlamaLogLevel.error });
});

after(async () => {
  await llama?.dispose();
  rmSync(work, { recursive: true, force: true });
});

/** Our windows of the built-in text: [{tokens, first_row, log_p}], where log_p[i] is of tokens[first_row + i + 1]. */
function our_windows(name, ...options) {
  const log = join(work, `${name}.log.json`);
  vernier("evaluate", path(name), "--windows", "2", "--score", "all", "--token-log", log, ...options);
  return JSON.parse(readFileSync(log, "utf8"));
}

/** llama.cpp's log-probabilities of the same tokens. */
async function their_log_p(file, windows) {
  const loaded = await llama.loadModel({ modelPath: file });
  const context = await loaded.createContext({ contextSize: 512, threads: availableParallelism() });
  const sequence = context.getSequence();
  const log_p = [];
  for (const { tokens, first_row } of windows) {
    await sequence.clearHistory();
    // Without sampling options the probabilities are of the whole vocabulary.
    const input = tokens
      .slice(0, -1)
      .map((token, row) => (row < first_row ? token : [token, { generateNext: { probabilities: true } }]));
    const results = await sequence.controlledEvaluate(input);
    for (let row = first_row; row + 1 < tokens.length; ++row) {
      log_p.push(Math.log(results[row].next.probabilities.get(tokens[row + 1])));
    }
  }
  await loaded.dispose();
  return log_p;
}

const mean_nll = (log_p) => -log_p.reduce((sum, x) => sum + x, 0) / log_p.length;

/** How far llama.cpp's answers on a file are from ours; the figures are printed with the test. */
async function differences(t, file, windows) {
  const ours = windows.flatMap((window) => window.log_p);
  const theirs = await their_log_p(file, windows);
  assert.ok(ours.length >= MIN_TOKENS, `only ${ours.length} tokens`);
  assert.equal(theirs.length, ours.length);
  assert.ok([...ours, ...theirs].every(Number.isFinite));
  const apart = ours.map((x, i) => Math.abs(x - theirs[i])).sort((a, b) => a - b);
  const figures = { relative: mean_nll(theirs) / mean_nll(ours) - 1, median: apart[apart.length >> 1] };
  t.diagnostic(
    `${ours.length} tokens: ${mean_nll(ours).toFixed(5)} nats by us, ${mean_nll(theirs).toFixed(5)} by llama.cpp ` +
      `(${(100 * figures.relative).toFixed(3)}%), median |delta log p| ${figures.median.toFixed(5)}`,
  );
  return figures;
}

/** Puts the rows of a q8_0 matrix back into Hugging Face's order: row 2i+half of a head becomes row half*d/2+i. */
function undo_interleave(fd, tensor, head_dim) {
  assert.equal(tensor.ggmlType, GgmlType.Q8_0, tensor.name);
  const [columns, rows] = tensor.dimensions.map(Number);
  const row_bytes = (columns / Q8_0_BLOCK.values) * Q8_0_BLOCK.bytes;
  const stored = Buffer.alloc(rows * row_bytes);
  assert.equal(readSync(fd, stored, 0, stored.length, Number(tensor.fileOffset)), stored.length);
  const original = Buffer.alloc(stored.length);
  for (let row = 0; row < rows; ++row) {
    const inside = row % head_dim;
    const to = row - inside + (inside % 2) * (head_dim / 2) + (inside >> 1);
    stored.copy(original, to * row_bytes, row * row_bytes, (row + 1) * row_bytes);
  }
  writeSync(fd, original, 0, original.length, Number(tensor.fileOffset));
}

/** The scheme that a recipe gives a tensor: its first matching line decides. */
function scheme_of(recipe, tensor) {
  for (const line of recipe.split("\n")) {
    const [, pattern, scheme] = /^([^#\s]\S*) = +(\S+)/.exec(line) ?? [];
    if (pattern && new RegExp(pattern).test(tensor)) return scheme;
  }
  return undefined;
}

for (const [name, { relative, median }] of Object.entries(FILES)) {
  test(`${name}: llama.cpp agrees on every token`, async (t) => {
    const figures = await differences(t, path(name), our_windows(name));
    assert.ok(Math.abs(figures.relative) <= relative, `mean NLL is ${figures.relative} apart, relatively`);
    assert.ok(figures.median <= median, `median |delta log p| is ${figures.median}`);
  });
}

// Every family and every rotary scaling with a place in llama.cpp, in tiny models whose answers by Hugging Face are ours.
// Not mistral's sliding window of 16, which llama.cpp ignores.
for (const fixture of readdirSync(fixtures).filter((name) => !["mistral_sliding", "PROVENANCE.md"].includes(name))) {
  test(`${fixture}: llama.cpp agrees on every token of the architecture`, async (t) => {
    // llama.cpp looks for tokens of Phi-3's vocabulary in every model that is named after it.
    const folder = join(work, `tiny ${fixture.replace(/\d+$/, "")}`);
    mkdirSync(folder, { recursive: true });
    for (const file of ["config.json", "model.safetensors"]) copyFileSync(join(fixtures, fixture, file), join(folder, file));
    writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(byte_tokenizer()));
    const calibration = join(work, `${fixture}.safetensors`);
    const context = ["--context", "128"];
    vernier("calibrate", folder, "--windows", "2", ...context, "-o", calibration);
    vernier("export", folder, "--scheme", "f32", "--calibration", calibration, "-o", path(fixture));
    const figures = await differences(t, path(fixture), our_windows(fixture, ...context));
    assert.ok(Math.abs(figures.relative) <= FILES.f32.relative, `mean NLL is ${figures.relative} apart, relatively`);
    assert.ok(figures.median <= FILES.f32.median, `median |delta log p| is ${figures.median}`);
  });
}

test("planted defect: rows of q and k in Hugging Face's order exceed every tolerance", async (t) => {
  const planted = path("planted");
  copyFileSync(path("q8_0"), planted);
  const { tensorInfo, architectureMetadata } = await readGgufFileInfo(planted);
  const rotated = tensorInfo.filter((tensor) => /^blk\.\d+\.attn_[qk]\.weight$/.test(tensor.name));
  assert.equal(rotated.length, 2 * architectureMetadata.block_count);
  const head_dim = architectureMetadata.embedding_length / architectureMetadata.attention.head_count;
  const fd = openSync(planted, "r+");
  for (const tensor of rotated) undo_interleave(fd, tensor, head_dim);
  closeSync(fd);
  const figures = await differences(t, planted, our_windows("q8_0"));
  for (const { relative, median } of Object.values(FILES)) {
    assert.ok(Math.abs(figures.relative) > relative, `mean NLL is only ${figures.relative} apart, relatively`);
    assert.ok(figures.median > median, `median |delta log p| is only ${figures.median}`);
  }
});

test("the mixed file stores the types of its recipe, and the recipe", async () => {
  const { tensorInfo, metadata } = await readGgufFileInfo(path("mixed"));
  const asked = readFileSync(MIXED_RECIPE, "utf8");
  const types = new Set();
  for (const tensor of tensorInfo) {
    const scheme = scheme_of(asked, tensor.name) ?? "f32";
    assert.equal(GgmlType[tensor.ggmlType], scheme.replace("gguf:", "").toUpperCase(), tensor.name);
    if (tensor.dimensions.length > 1) {
      assert.equal(scheme_of(metadata.vernier.recipe, tensor.name), scheme, `${tensor.name} in vernier.recipe`);
    }
    types.add(tensor.ggmlType);
  }
  assert.equal(types.size, 8);
});

test("the planned file mixes block sizes", async () => {
  const { tensorInfo } = await readGgufFileInfo(path("planned"));
  const types = new Set(tensorInfo.filter(({ dimensions }) => dimensions.length > 1).map(({ ggmlType }) => ggmlType));
  assert.ok(types.has(GgmlType.Q8_0) && types.has(GgmlType.Q6_K), [...types].map((type) => GgmlType[type]).join(" "));
});

test("llama.cpp reads a text as the same tokens", async () => {
  const ours = JSON.parse(vernier("tokenize", path("q8_0"), "--text", MULTILINGUAL, "--no-special", "--plain"));
  const loaded = await llama.loadModel({ modelPath: path("q8_0"), vocabOnly: true });
  assert.deepEqual([...loaded.tokenize(MULTILINGUAL, false)], ours);
  await loaded.dispose();
});

/** A safetensors file whose tensors of the vocabulary have `rows` rows: those there are, over and over. */
function with_vocabulary(file, rows) {
  const bytes = readFileSync(file);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, start).toString());
  const parts = [];
  let end = 0;
  for (const [name, tensor] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const own = bytes.subarray(...tensor.data_offsets.map((offset) => start + offset));
    const grows = /embed_tokens|lm_head/.test(name);
    const data = grows ? Buffer.alloc((own.length / tensor.shape[0]) * rows, own) : own;
    if (grows) tensor.shape[0] = rows;
    tensor.data_offsets = [end, (end += data.length)];
    parts.push(data);
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, ...parts]);
}

test("llama.cpp reads a text as the same pieces", async () => {
  const folder = join(work, "pieces");
  mkdirSync(folder);
  const tokenizer = readFileSync(join(fixtures, "../tokenizers/pieces/tokenizer.json"), "utf8");
  const vocab_size = Object.keys(JSON.parse(tokenizer).model.vocab).length;
  const config = JSON.parse(readFileSync(join(fixtures, "llama/config.json"), "utf8"));
  writeFileSync(join(folder, "tokenizer.json"), tokenizer);
  writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config, vocab_size }));
  writeFileSync(join(folder, "model.safetensors"), with_vocabulary(join(fixtures, "llama/model.safetensors"), vocab_size));
  vernier("export", folder, "--scheme", "f32", "--method", "nearest", "-o", path("pieces"));
  const loaded = await llama.loadModel({ modelPath: path("pieces"), vocabOnly: true });
  for (const source of [folder, path("pieces")]) {
    const ours = JSON.parse(vernier("tokenize", source, "--text", MULTILINGUAL, "--no-special", "--plain"));
    assert.deepEqual([...loaded.tokenize(MULTILINGUAL, false)], ours, source);
  }
  await loaded.dispose();
});
