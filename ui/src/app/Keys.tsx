import { Kbd, Modal } from '@mantine/core';
import classes from './Keys.module.css';

const KEYS: { title: string; keys: [string[], string][] }[] = [
  {
    title: 'Anywhere',
    keys: [
      [['g', 'h'], 'Home'],
      [['g', 'l'], 'Logs'],
      [['g', 'm'], 'Metrics'],
      [['g', 't'], 'Traces'],
      [['g', 's'], 'SQL'],
      [['r'], 'Refresh now'],
      [['?'], 'Show the keys'],
      [['Esc'], 'Close what is open'],
    ],
  },
  {
    title: 'Query',
    keys: [
      [['/'], 'Go to the query'],
      [['Enter'], 'Run (SQL: Ctrl Enter)'],
      [['Shift', 'Enter'], 'New line'],
      [['Ctrl', 'Space'], 'Complete'],
    ],
  },
  {
    title: 'Log rows and spans',
    keys: [
      [['↑', '↓'], 'Previous, next'],
      [['Enter'], 'Open or close the detail'],
      [['Home', 'End'], 'First, last span'],
      [['←', '→'], 'Fold, unfold a span'],
    ],
  },
];

export function Keys({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  return (
    <Modal opened={opened} onClose={onClose} title="Keys" size={620} centered>
      <div className={classes.groups}>
        {KEYS.map((group) => (
          <section key={group.title}>
            <h3>{group.title}</h3>
            <dl>
              {group.keys.map(([keys, what]) => (
                <div key={what}>
                  <dt>
                    {keys.map((key) => (
                      <Kbd key={key}>{key}</Kbd>
                    ))}
                  </dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Modal>
  );
}
