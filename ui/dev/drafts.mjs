// Pipelines and contracts of the stand-in: two pipelines in force, and trials that always end alike.
const mask = {
  kinds: ['secrets', 'card', 'email'],
  fields: ['patient.name'],
  patterns: [],
  with: 'pseudonym',
  in: ['body', 'attributes'],
};
const TEXT = `name: payments
about: Card numbers are never stored.
match: {business_service: payments}
stages:
  - parse: {format: json, severity: level, message: msg, time: ts}
  - drop: {when: 'match(.body, r''^GET /health'')', reason: health_check}
  - vrl: |
      # What the gateway calls a decline.
      .attributes.total = to_float!(.attributes.price) + 1.5
  - mask: {kinds: [secrets, card, email], with: pseudonym}
  - sample: {keep: 0.1, by: trace, when: '.severity_number < 9'}
`;
const stage = (stage, does, when = null) => ({
  stage,
  kind: stage.split(' ')[1],
  conditional: when !== null,
  when,
  does,
});
const DESCRIBED = {
  name: 'payments',
  about: 'Card numbers are never stored.',
  business_service: 'payments',
  service: '',
  component: '',
  conditional: false,
  when: null,
  stages: [
    stage('1 parse', { format: 'json', from: '' }),
    stage('2 drop', { reason: 'health_check' }, "match(.body, r'^GET /health')"),
    stage('3 vrl', {
      program: '# What the gateway calls a decline.\n.attributes.total = to_float!(.attributes.price) + 1.5',
    }),
    stage('4 mask', mask),
    stage('5 sample', { keep: 0.1, by: 'trace' }, '.severity_number < 9'),
  ],
};
const count = (stage, what, count, reason = '') => ({
  pipeline: 'payments',
  stage,
  what,
  reason,
  business_service: 'payments',
  service: '',
  component: '',
  count,
});

export function pipelines() {
  return {
    since: Math.floor(Date.now() / 1000) - 8140,
    pipelines: [
      {
        ...DESCRIBED,
        declared_at: { file: '/srv/catalogue/pipelines/payments.yaml', line: 1, column: 1 },
        text: TEXT,
        records: 184_233,
        counts: [
          count('', 'seen', 184_233),
          count('1 parse', 'failed', 14, 'no_match'),
          count('2 drop', 'dropped', 20_114, 'health_check'),
          count('4 mask', 'masked', 1902),
          count('5 sample', 'dropped', 90_312, 'sampled'),
        ],
      },
      {
        name: 'everybody',
        about: '',
        business_service: '',
        service: '',
        component: '',
        conditional: true,
        when: 'true',
        stages: [
          stage('1 dedupe', { window_seconds: 60 }),
          stage('2 metric', { name: 'lines_total', kind: 'counter', value: '' }),
        ],
        declared_at: { file: '/srv/catalogue/pipelines/everybody.yaml', line: 1, column: 1 },
        text: "name: everybody\nmatch: {when: 'true'}\nstages:\n  - dedupe: 1m\n  - metric: lines_total\n",
        records: 0,
        counts: [],
      },
    ],
  };
}

export function tryPipeline({ pipeline, file = 'pipelines/draft.yaml' }) {
  const wrong = pipeline.split('\n').findIndex((line) => line.includes('msak'));
  if (wrong >= 0)
    return {
      pipeline: null,
      records: [],
      problems: [`${file}:${wrong + 1}:5: cannot use "msak" as a stage; did you mean "mask"?`],
    };
  const before = (body, attributes = {}) => ({
    timestamp: new Date().toISOString(),
    severity_number: 9,
    severity_text: 'INFO',
    body,
    attributes: { 'http.route': '/pay', price: '12.5', ...attributes },
    resource: { 'omd.business_service': 'payments', 'omd.service': 'checkout', 'omd.component': 'checkout-api' },
  });
  const paid = before('paid with 4111 1111 1111 1111 by ann@example.com', { user: 'ann@example.com' });
  const note = (stage, what, reason = '') => ({ stage, what, reason });
  return {
    pipeline: DESCRIBED,
    problems: [],
    records: [
      {
        before: paid,
        after: {
          ...paid,
          severity_text: 'WARN',
          body: 'paid with [masked:card:1f2e3d4c5b6a7988] by [masked:email:88aa3d4c5b6a7988]',
          attributes: { ...paid.attributes, user: '[masked:email:88aa3d4c5b6a7988]', total: 14 },
        },
        matched: true,
        dropped: null,
        notes: [note('4 mask', 'masked')],
      },
      {
        before: before('GET /health 200'),
        after: null,
        matched: true,
        dropped: note('2 drop', 'dropped', 'health_check'),
        notes: [],
      },
      {
        before: before('booked'),
        after: before('booked'),
        matched: true,
        dropped: null,
        notes: [note('3 vrl', 'failed', 'error')],
      },
    ],
  };
}

const CONTRACT = `{
  "x-tyto": {"mode": "quarantine"},
  "required": ["payment.method"],
  "properties": {
    "payment.method": {"enum": ["card", "wallet"]}
  }
}
`;

export function contracts() {
  const declared_at = { file: '/srv/catalogue/contracts/payments.json', line: 1, column: 1 };
  return {
    contracts: [
      { name: 'payments', title: '', mode: 'quarantine', declared_at, text: CONTRACT, named_by: ['payments'] },
    ],
  };
}

export function tryContract({ files }) {
  const [file] = Object.keys(files);
  const breach = (path, rule, expected, found, line, records) => ({
    ...{
      business_service: 'payments',
      service: 'checkout',
      component: 'checkout-api',
      contract: 'payments',
      version: '',
    },
    ...{
      path,
      rule,
      expected,
      found,
      at: `${file}:${line}`,
      sample: { 'payment.method': 'a string of 1 to 8 bytes', price: 'a number' },
    },
    records,
  });
  return {
    contracts: ['payments'],
    start: 0,
    end: 0,
    came: 412_330,
    sampled: true,
    share: 0.0016,
    records: 20_000,
    broken: 31,
    observed: 6,
    quarantined: 25,
    rejected: 0,
    breaches: [
      breach('payment.method', 'enum', 'one of ["card","wallet"]', 'a string of 1 to 8 bytes', 5, {
        observed: 0,
        quarantined: 25,
        rejected: 0,
      }),
      breach('payment.method', 'required', 'to be there', 'nothing', 3, { observed: 6, quarantined: 0, rejected: 0 }),
    ],
    breaches_left_out: 0,
  };
}

export function entries() {
  const entry = (kind, path) => ({
    kind,
    path,
    name: path.split('/').at(-1),
    description: '',
    teams: ['till'],
    tier: '',
    environment: '',
    contract: '',
    parts: 0,
    expected: 9,
    missing: [],
  });
  const found = [
    entry('business_service', 'payments'),
    entry('service', 'payments/checkout'),
    entry('component', 'payments/checkout/checkout-api'),
  ];
  return { entries: found, left_out: 0, gaps: {} };
}
