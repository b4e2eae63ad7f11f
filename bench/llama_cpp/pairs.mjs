// node pairs.mjs LLAMA_PERPLEXITY GGUF TEXT CONTEXT WINDOWS -- BENCH ARGUMENTS... --paced
//
// A bench of ours beside the real llama-perplexity, in turns, so that a busy machine slows both alike: after each of its
// timed parts BENCH (evaluate_bench or sweep_bench) waits while llama-perplexity takes as many windows of the same text.
// What is compared is CPU seconds. BENCH prints "part NAME CPU_SECONDS WORTH" for each, WORTH being the number of passes
// over the windows that the part stands for, and takes a line as leave to go on.
//
// llama-perplexity's loading and tokenizing are not counted: a run over 2 windows is taken off one over 2 more than
// WINDOWS. It runs on THREADS (environment, 1 by default): several wait for each other in busy loops, the longer the
// busier the machine. Build it for this machine (cmake -DGGML_NATIVE=ON): the prebuilt libraries in npm's node-llama-cpp
// take nearly twice as long for F32.
import { spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";

const FEWEST = 2; // windows that llama-perplexity runs on
const separator = process.argv.indexOf("--");
const [perplexity, gguf, text, ...sizes] = process.argv.slice(2, separator);
const [program, ...options] = process.argv.slice(separator + 1);
const [context, count] = sizes.map(Number);
const threads = process.env.THREADS ?? "1";
if (separator < 0 || !program || !(context > 0) || !(count > 0)) {
  console.error("usage: node pairs.mjs LLAMA_PERPLEXITY GGUF TEXT CONTEXT WINDOWS -- BENCH ARGUMENTS... --paced");
  process.exit(2);
}

/** User and system seconds of llama-perplexity over so many windows. */
function perplexity_seconds(windows) {
  const command = [perplexity, "-m", gguf, "-f", text, "-c", context, "--chunks", windows, "-t", threads, "-tb", threads];
  const timed = 'TIMEFORMAT="%U %S"; time "$@" >/dev/null 2>&1 || echo failed >&2';
  const { stderr } = spawnSync("bash", ["-c", timed, "-", ...command.map(String)], { encoding: "utf8" });
  const [, user, system, failed] = /^([\d.]+) ([\d.]+)\s*(failed)?/.exec(stderr) ?? [];
  if (!user || failed) throw new Error(`${command.join(" ")}: ${stderr}`);
  return Number(user) + Number(system);
}

const pass_seconds = () => perplexity_seconds(FEWEST + count) - perplexity_seconds(FEWEST);
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

const theirs = [];
const ratios = [];
const ours = { seconds: 0, worth: 0 };
const child = spawn(program, options, { stdio: ["pipe", "pipe", "inherit"] });
for await (const line of createInterface({ input: child.stdout })) {
  const [, name, seconds, worth] = /^part (\S+) (\S+) (\S+)$/.exec(line) ?? [];
  if (!name) {
    console.log(line);
    continue;
  }
  theirs.push(pass_seconds());
  ours.seconds += Number(seconds);
  ours.worth += Number(worth);
  if (Number(worth) > 0) ratios.push((theirs.at(-1) * Number(worth)) / Number(seconds));
  console.log(`${name}: ${Number(seconds).toFixed(3)} CPU s for ${worth}, llama.cpp ${theirs.at(-1).toFixed(3)} for 1`);
  child.stdin.write("\n");
}
const mean = theirs.reduce((sum, s) => sum + s, 0) / theirs.length;
console.log(
  `llama-perplexity on ${threads} threads: ${((context * count) / mean).toFixed(0)} tok per CPU s; its CPU seconds are ` +
    `${((mean * ours.worth) / ours.seconds).toFixed(3)} times ours over all parts, ${median(ratios).toFixed(3)} in the median`,
);
