// node type.mjs keyboard.wasm TEXT: as type.c does, with the network as WebAssembly. It imports nothing: a page loads it the same way.
import { readFile } from 'node:fs/promises';

const [file, text] = process.argv.slice(2);
const { instance } = await WebAssembly.instantiate(await readFile(file), {});
const { _initialize, guess_reset, guess_key, guess_next, guess_probability } = instance.exports;
_initialize?.();
const bytes = new TextEncoder().encode(text);
const shown = (byte) => (byte < 32 || byte > 126 ? '.' : String.fromCharCode(byte));
let offered = 0;
let bits = 0;
guess_reset();
for (const key of bytes) {
    const offer = [0, 1, 2].map(guess_next);
    const hit = offer.includes(key);
    const cost = -Math.log2(guess_probability(key));
    console.log(`${shown(key)} offered: ${offer.map((k) => `[${shown(k)}]`).join(' ')} ${hit ? '*' : '-'} ${cost.toFixed(2)} bits`);
    offered += hit;
    bits += cost;
    guess_key(key);
}
console.log(`${offered} of ${bytes.length} keys were among the three; ${(bits / (bytes.length || 1)).toFixed(2)} bits a key`);
