export const EXAMPLES: { title: string; sql: string }[] = [
  {
    title: 'Errors by service',
    sql: `SELECT business_service, service_name, count(*) AS rows,
       count(*) FILTER (WHERE severity_number >= 17) AS errors
FROM logs
GROUP BY business_service, service_name
ORDER BY errors DESC, rows DESC`,
  },
  {
    title: 'Slowest operations',
    sql: `SELECT service_name, name, count(*) AS spans,
       round(approx_percentile_cont(duration_nano, 0.95) / 1e6, 1) AS p95_ms
FROM spans
GROUP BY service_name, name
ORDER BY p95_ms DESC
LIMIT 50`,
  },
  {
    title: 'Failed spans',
    sql: `SELECT start_time_unix_nano, service_name, name, status_message, trace_id
FROM spans
WHERE status_code = 'error'
ORDER BY start_time_unix_nano DESC
LIMIT 100`,
  },
  {
    title: 'Biggest metrics',
    sql: `SELECT name, count(DISTINCT series_id) AS series, count(*) AS chunks
FROM samples
GROUP BY name
ORDER BY series DESC
LIMIT 50`,
  },
  {
    title: 'Newest logs',
    sql: `SELECT time_unix_nano, severity_text, service_name, body
FROM logs
ORDER BY time_unix_nano DESC
LIMIT 100`,
  },
];
