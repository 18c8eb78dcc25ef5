// SPDX-License-Identifier: Apache-2.0
// Runs the functions of tests/web/smoke.cpp, a case each, and prints `ok NAME` or `FAILED NAME`: smoke.mjs MODULE
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { WASI } from 'node:wasi';

process.removeAllListeners('warning');  // that node:wasi is experimental

const module = await WebAssembly.compile(readFileSync(process.argv[2]));

// A fresh instance: its functions take strings and numbers and give what their JSON says.
async function instantiate() {
  const wasi = new WASI({ version: 'preview1' });
  const instance = await WebAssembly.instantiate(module, { wasi_snapshot_preview1: wasi.wasiImport });
  wasi.initialize(instance);
  const { memory, allocate } = instance.exports;
  const call = (name, ...values) => {
    const words = values.flatMap((value) => {
      if (typeof value === 'number') return [value];
      const bytes = new TextEncoder().encode(value);
      const place = allocate(bytes.length);
      new Uint8Array(memory.buffer, place, bytes.length).set(bytes);
      return [place, bytes.length];
    });
    const start = instance.exports[name](...words);
    const bytes = new Uint8Array(memory.buffer, start);
    return JSON.parse(new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0))));
  };
  return { call };
}

const tokenizers = JSON.parse(readFileSync(new URL('../fixtures/tokenizers/components.json', import.meta.url))).tokenizers;

const cases = {
  json_is_read_and_printed: ({ call }) => {
    assert.deepEqual(call('reprint', '{"a": [1, 2.5, "é", null], "b": true}'), { a: [1, 2.5, 'é', null], b: true });
    assert.match(call('reprint', '{"a": }').error, /^error: input:1:7: is not valid JSON/);
  },
  tokenizers_give_the_ids_and_texts_of_their_fixtures: ({ call }) => {
    let compared = 0;
    for (const { name, tokenizer, cases } of tokenizers) {
      for (const { text, ids, with_special, decode_raw } of cases) {
        const found = call('tokenize', JSON.stringify(tokenizer), text);
        assert.deepEqual(found.ids, ids, `${name}: ${JSON.stringify(text)}`);
        if (ids.length === with_special.length) assert.equal(found.text, decode_raw, `${name}: ${ids}`);
        ++compared;
      }
    }
    assert.ok(compared > 50);
  },
  a_wrong_tokenizer_is_refused: ({ call }) => {
    assert.match(call('tokenize', '{"model": {"type": "BPE"}}', 'a').error, /^error: tokenizer\.json: model lacks the key "vocab"/);
  },
  a_forked_sequence_gets_a_page_of_its_own: ({ call }) => {
    const tables = call('step_tables', 16);
    assert.deepEqual(tables.tokens, [7, 8]);
    assert.deepEqual(tables.positions, [5, 6]);
    // 4 positions a page: the full page is shared, the partial one was copied, and one of 4 pages is left.
    assert.equal(tables.free_pages, 1);
    assert.equal(tables.slots[1], tables.slots[0] + 1);
    assert.equal(tables.slots[0] % 4, 1);
  },
  a_cache_that_is_too_small_is_reported: ({ call }) => {
    assert.match(call('step_tables', 4).error, /no room for 5 tokens/);
  },
  equal_seeds_draw_equal_tokens: ({ call }) => {
    const tokens = call('sample', 40, 200, 1);
    assert.deepEqual(call('sample', 40, 200, 1), tokens);
    assert.notDeepEqual(call('sample', 40, 200, 2), tokens);
    // exp(i / 8) over 40 ids: those from 22 on have nine tenths of the sum.
    assert.ok(tokens.every((token) => token >= 22 && token < 40), tokens.join());
  },
};

let failed = 0;
for (const [name, run] of Object.entries(cases)) {
  try {
    run(await instantiate());
    console.log(`ok ${name}`);
  } catch (error) {
    ++failed;
    console.log(`${error.stack}\nFAILED ${name}`);
  }
}
process.exit(failed ? 1 : 0);
