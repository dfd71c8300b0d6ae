import { PostgreSQL, sql } from '@codemirror/lang-sql';

const IDENTITY = ['business_service', 'service', 'component', 'region', 'environment', 'team'];

/** The columns people filter by; `SELECT *` shows the rest. */
export const sqlLanguage = sql({
  dialect: PostgreSQL,
  upperCaseKeywords: true,
  schema: {
    logs: [
      ...IDENTITY,
      ...[
        'time_unix_nano',
        'severity_number',
        'severity_text',
        'body',
        'service_name',
        'trace_id',
        'span_id',
        'event_name',
        'attributes',
        'resource_attributes',
      ],
    ],
    spans: [
      ...IDENTITY,
      ...[
        'start_time_unix_nano',
        'end_time_unix_nano',
        'duration_nano',
        'trace_id',
        'span_id',
        'parent_span_id',
        'name',
        'kind',
      ],
      ...['status_code', 'status_message', 'service_name', 'attributes', 'resource_attributes', 'events', 'links'],
    ],
    samples: [
      ...IDENTITY,
      ...[
        'name',
        'labels',
        'series_id',
        'type',
        'unit',
        'help',
        'min_time_unix_nano',
        'max_time_unix_nano',
        'timestamps',
        'values',
      ],
    ],
    points: [...IDENTITY, ...['name', 'labels', 'series_id', 'time_unix_nano', 'value']],
  },
});
