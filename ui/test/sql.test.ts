import { afterEach, describe, expect, it, vi } from 'vitest';
import { quoteLongIntegers } from '../src/api/client';
import { SqlReader } from '../src/api/sql';
import { runSql } from '../src/api/tyto';

const signal = new AbortController().signal;
const answer = (rows: string, columns = '[{"name":"n","type":"int64"}]') => `{"columns":${columns},"rows":[${rows}]}`;

describe('quoteLongIntegers', () => {
  it.each([
    ['[1763800000123456789]', '["1763800000123456789"]'],
    ['[-1763800000123456789,1]', '["-1763800000123456789",1]'],
    ['{"a":1763800000123456789}', '{"a":"1763800000123456789"}'],
    ['[0.1234567890123456789,1234567890123456.5,1e22]', '[0.1234567890123456789,1234567890123456.5,1e22]'],
    ['["at 1763800000123456789]","\\"1763800000123456789,"]', '["at 1763800000123456789]","\\"1763800000123456789,"]'],
    ['[123456789012345]', '[123456789012345]'],
  ])('%s', (json, expected) => {
    expect(quoteLongIntegers(json)).toBe(expected);
  });
});

describe('SqlReader', () => {
  const read = (text: string, rowsMax = 10, piece = text.length) => {
    const reader = new SqlReader(rowsMax);
    for (let at = 0; at < text.length; at += piece) if (!reader.push(text.slice(at, at + piece))) break;
    return reader.answer(false);
  };
  const rows = '[1763800000123456789],["a]\\"[\\\\"],[{"k":[1,{}]}],[[[2]]],[null]';
  const expected = [['1763800000123456789'], ['a]"[\\'], [{ k: [1, {}] }], [[[2]]], [null]];

  it.each([1, 2, 7, 1000])('reads an answer that comes %i characters at a time', (piece) => {
    expect(read(answer(rows), 10, piece)).toEqual({
      columns: [{ name: 'n', type: 'int64' }],
      rows: expected,
      cut: false,
    });
  });
  it('reads an answer without rows', () => {
    expect(read(answer(''))).toMatchObject({ columns: [{ name: 'n' }], rows: [], cut: false });
  });
  it('stops at its limit, and says so only when there is more', () => {
    expect(read(answer(rows), 2, 3)).toMatchObject({ rows: expected.slice(0, 2), cut: true });
    expect(read(answer(rows), 5, 3)).toMatchObject({ rows: expected, cut: false });
  });
  it('takes no broken answer for a whole one', () => {
    expect(() => read(answer(rows).slice(0, -2))).toThrow(SyntaxError);
    expect(() => read('<!doctype html>')).toThrow(SyntaxError);
  });
});

describe('runSql', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('stops reading an answer that is too large for a page', async () => {
    let sent = 0;
    let stopped = false;
    const row = `["${'x'.repeat((1 << 20) - 5)}"]`;
    const body = new ReadableStream({
      pull(controller) {
        const head = '{"columns":[{"name":"body","type":"text"}],"rows":[';
        controller.enqueue(new TextEncoder().encode(sent++ ? `,${row}` : head + row));
      },
      cancel() {
        stopped = true;
      },
    });
    vi.stubGlobal('fetch', () => Promise.resolve(new Response(body)));
    const { rows, cut } = await runSql('SELECT body FROM logs', signal);
    expect({ cut, stopped }).toEqual({ cut: true, stopped: true });
    expect(rows.length).toBeGreaterThan(60);
    expect(sent).toBeLessThan(70);
  });
  it('says so when the answer is no JSON', async () => {
    vi.stubGlobal('fetch', () => Promise.resolve(new Response('<!doctype html>')));
    await expect(runSql('SELECT 1', signal)).rejects.toThrow('not JSON');
  });
});
