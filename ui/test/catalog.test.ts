import { describe, expect, it } from 'vitest';
import { readCatalogTroubles } from '../src/api/catalog';

const read = (status: Record<string, unknown>) => readCatalogTroubles(status, '/status');

describe('troubles of the catalogue', () => {
  it('are none where it is the newest', () => {
    expect(read({ stale: false, sources: [{ source: 'acme/shop', version: 1 }] })).toEqual([]);
  });

  it('name the store and every source', () => {
    const sources = [
      { source: 'acme/pay' },
      { source: 'acme/shop', trouble: { what: 'cannot use commit 0123 by Ada: omd.yaml:3:5: cannot use key "teir"' } },
    ];
    expect(read({ stale: true, trouble: { what: 'cannot reach the store' }, sources })).toEqual([
      'cannot reach the store',
      'acme/shop: cannot use commit 0123 by Ada: omd.yaml:3:5: cannot use key "teir"',
    ]);
  });

  it('are said where nothing is wrong but the keeping', () => {
    expect(read({ stale: true, sources: [] })).toHaveLength(1);
  });
});
