/** Hands a file to the browser's downloads. */
export function download(name: string, type: string, parts: BlobPart[]): void {
  const address = URL.createObjectURL(new Blob(parts, { type }));
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}

/** A name with the moment in it, so that two downloads do not overwrite each other. */
export function stamped(extension: string): string {
  return `tyto-${new Date().toISOString().slice(0, 19).replaceAll(':', '')}.${extension}`;
}
