import { asArray, asRecord, asText, getJson } from './client';

/** Why the catalogue in force may not be the newest, in the server's words. */
export async function fetchCatalogTroubles(signal: AbortSignal): Promise<string[]> {
  const path = '/api/tyto/v1/catalog/status';
  return readCatalogTroubles(asRecord(await getJson(path, {}, { signal })), path);
}

export function readCatalogTroubles(status: Record<string, unknown>, path: string): string[] {
  const sources = asArray(status.sources, path, 'sources').map(asRecord);
  const told = sources.filter(({ trouble }) => trouble !== undefined);
  const ofSources = told.map(({ source, trouble }) => `${asText(source)}: ${asText(asRecord(trouble).what)}`);
  const ofStore = status.trouble === undefined ? [] : [asText(asRecord(status.trouble).what)];
  const all = [...ofStore, ...ofSources];
  return status.stale === true && all.length === 0 ? ['Files beside the server are not kept yet.'] : all;
}
