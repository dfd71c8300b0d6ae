/** A contract to begin with: it only counts. */
export const CONTRACT = `{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "What our log records hold",
  "x-tyto": {"mode": "observe"},
  "type": "object",
  "required": ["severity_text", "trace_id"],
  "properties": {
    "severity_text": {"enum": ["DEBUG", "INFO", "WARN", "ERROR"]}
  }
}
`;
