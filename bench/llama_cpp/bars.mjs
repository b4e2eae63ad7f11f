// node bars.mjs LLAMA_PERPLEXITY F32.gguf BF16.gguf MODEL TEXT BENCHES [ROW...]
//
// One line per bar that the CPU engine is held to: how many times faster than llama-perplexity, in CPU seconds of
// interleaved pairs (pairs.mjs). MODEL is the Hugging Face folder of which both GGUF files are copies, BENCHES the folder of
// evaluate_bench and sweep_bench. Some minutes; ROW (its name, several) runs these alone.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const ROWS = [
  { name: "evaluate-f32-512", bar: 1.6, context: 512, windows: 8, bench: "evaluate_bench", options: ["--repeats", "5"] },
  { name: "evaluate-f32-2048", bar: 2.0, context: 2048, windows: 2, bench: "evaluate_bench", options: ["--repeats", "5"] },
  { name: "evaluate-bf16-512", bar: 2.0, context: 512, windows: 8, bf16: true, bench: "evaluate_bench", options: ["--repeats", "5"] },
  { name: "evaluate-bf16-2048", bar: 3.0, context: 2048, windows: 2, bf16: true, bench: "evaluate_bench", options: ["--repeats", "5"] },
  { name: "sweep-f32-512", bar: 3.0, context: 512, windows: 16, bench: "sweep_bench", options: ["--repeats", "1"], forwards: 1.7 },
];

const [perplexity, f32, bf16, model, text, benches, ...wanted] = process.argv.slice(2);
if (!benches || wanted.some((name) => !ROWS.some((row) => row.name === name))) {
  console.error("usage: node bars.mjs LLAMA_PERPLEXITY F32.gguf BF16.gguf MODEL TEXT BENCHES [ROW...]");
  console.error(`rows: ${ROWS.map((row) => row.name).join(" ")}`);
  process.exit(2);
}

const pairs = fileURLToPath(new URL("pairs.mjs", import.meta.url));
const verdict = (measured, bar) => `${measured.toFixed(2)} of ${bar.toFixed(1)}, ${measured >= bar ? "reached" : "missed"}`;

for (const row of ROWS) {
  if (wanted.length > 0 && !wanted.includes(row.name)) continue;
  const own = [`${benches}/${row.bench}`, model, text, "--windows", row.windows, "--paced", ...row.options];
  if (row.bench === "evaluate_bench") own.push("--context", row.context);
  if (row.bf16) own.push("--bf16");
  const command = [pairs, perplexity, row.bf16 ? bf16 : f32, text, row.context, row.windows, "--", ...own];
  const { stdout, stderr, status } = spawnSync("node", command.map(String), { encoding: "utf8" });
  const [, all, median] = /CPU seconds are ([\d.]+) times ours over all parts, ([\d.]+) in the median/.exec(stdout) ?? [];
  if (status !== 0 || !all) throw new Error(`${row.name}: ${stdout}${stderr}`);
  const parts = [...stdout.matchAll(/^\S+: ([\d.]+) CPU s for \d+, llama.cpp ([\d.]+) for 1$/gm)];
  // Sweeps are as long as their layers: only the sum over all parts compares. Of equal passes the median does.
  const measured = Number(row.forwards ? all : median);
  const seconds = (column) => parts.map((part) => part[column]).join(" ");
  console.log(`${row.name}: ${verdict(measured, row.bar)}; ours ${seconds(1)}, llama-perplexity ${seconds(2)} CPU s`);
  if (!row.forwards) continue;
  const [, forwards] = /^ratio +[\d.]+ +([\d.]+)/m.exec(stdout);
  console.log(`${row.name}, our own forwards: ${verdict(Number(forwards), row.forwards)}`);
}
