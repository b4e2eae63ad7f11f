// node file_pairs.mjs LLAMA_PERPLEXITY F32.gguf TEXT NAME BYTES BAR THEIRS.gguf OURS.gguf [NAME BYTES ...]
//
// Files of ours beside files that llama.cpp made, both run by the real llama-perplexity: mean KL divergence from F32.gguf
// over all windows of 512 tokens of TEXT, a line for each pair. BAR is the most that ours may have of theirs; OURS must not
// have more than BYTES. llama-perplexity rounds activations and keeps the F32 file's log-probabilities in 16 bits, which
// is 0.002 nats or so more than an evaluation that does neither. The F32 file's answers take 4 MB a window.
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [perplexity, f32, text, ...rest] = process.argv.slice(2);
if (rest.length === 0 || rest.length % 5 !== 0) {
  console.error("usage: node file_pairs.mjs LLAMA_PERPLEXITY F32.gguf TEXT NAME BYTES BAR THEIRS.gguf OURS.gguf ...");
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), "file_pairs-"));
const base = join(folder, "base");

/** What it prints, by way of a file: through a pipe the end is lost now and then. */
function run(gguf, ...options) {
  const printed = join(folder, "printed");
  const file = openSync(printed, "w");
  const command = ["-m", gguf, "-f", text, "-c", "512", "-t", "1", "--kl-divergence-base", base, ...options];
  const { status } = spawnSync(perplexity, command, { stdio: ["ignore", file, file] });
  closeSync(file);
  const lines = readFileSync(printed, "utf8");
  if (status !== 0) throw new Error(`${gguf}: ${lines.slice(-2000)}`);
  return lines;
}

function divergence(gguf) {
  const [, mean, error] = /Mean +KLD: +([\d.]+) +. +([\d.]+)/.exec(run(gguf, "--kl-divergence")) ?? [];
  if (!mean) throw new Error(`${gguf}: llama-perplexity printed no mean KL divergence`);
  return { mean: Number(mean), error: Number(error), bytes: statSync(gguf).size };
}

const shown = ({ mean, error, bytes }) => `${mean.toFixed(5)} ± ${error.toFixed(5)} of ${bytes} bytes`;

try {
  run(f32);
  for (let i = 0; i < rest.length; i += 5) {
    const [name, bytes, bar] = rest.slice(i, i + 3);
    const [theirs, ours] = rest.slice(i + 3, i + 5).map(divergence);
    const share = ours.mean / theirs.mean;
    const reached = share <= Number(bar) && ours.bytes <= Number(bytes);
    console.log(
      `${name}: ${share.toFixed(3)} of ${bar}, ${reached ? "reached" : "missed"}; ours ${shown(ours)} of at most ${bytes}, ` +
        `llama.cpp's ${shown(theirs)}`,
    );
  }
} finally {
  rmSync(folder, { recursive: true });
}
