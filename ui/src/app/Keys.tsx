import { Kbd, Modal } from '@mantine/core';
import { useEffect, useEffectEvent } from 'react';
import classes from './Keys.module.css';

const KEYS: { title: string; keys: [string[], string][] }[] = [
  {
    title: 'Anywhere',
    keys: [
      [['g', 'h'], 'Home'],
      [['g', 'p'], 'Map'],
      [['g', 'o'], 'Catalogue (who owns what)'],
      [['g', 'e'], 'Scorecard'],
      [['g', 'l'], 'Logs'],
      [['g', 'i'], 'Pipelines'],
      [['g', 'q'], 'Quarantine'],
      [['g', 'm'], 'Metrics'],
      [['g', 'c'], 'Cardinality'],
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
      [['Enter'], 'Run (SQL, drafts: Ctrl Enter)'],
      [['Ctrl', 'Enter'], 'Run, also while completing'],
      [['Shift', 'Enter'], 'New line'],
      [['Ctrl', 'Space'], 'Complete'],
    ],
  },
  {
    title: 'Log rows and spans',
    keys: [
      [['↑', '↓'], 'Previous, next (logs: also k, j)'],
      [['Enter'], 'Open or close the detail'],
      [['Home', 'End'], 'First, last span'],
      [['←', '→'], 'Fold, unfold a span'],
    ],
  },
  {
    title: 'One trace',
    keys: [
      [['e', 'E'], 'Next, previous failed span'],
      [['n', 'N'], 'Next, previous span that was found'],
      [['c'], 'Only the critical path, or all'],
      [['z'], 'Zoom to the span'],
      [['x'], 'The whole trace'],
      [['1', '9'], 'So many levels (0: all)'],
      [['+', '-'], 'One level more, less'],
    ],
  },
  {
    title: 'Map',
    keys: [
      [['←', '→', '↑', '↓'], 'The next node'],
      [['Enter'], 'Look at it'],
      [['u'], 'Unfold it'],
      [['+', '-', '0'], 'Larger, smaller, all'],
      [['v'], 'Map or table'],
    ],
  },
  {
    title: 'Logs',
    keys: [
      [['c'], 'Lines around the row'],
      [['l'], 'Follow new rows, or stop'],
      [['p'], 'Pause them, or go on'],
      [['o'], 'Newest or oldest first'],
      [['w'], 'Break long lines'],
      [['f'], 'Fields at the left'],
    ],
  },
];

export function Keys({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  // Taken before the page hears it: the focus may still be behind the dialog, where Esc closes a row or a span.
  const onEscape = useEffectEvent((event: KeyboardEvent) => {
    if (event.key !== 'Escape') return;
    event.preventDefault();
    onClose();
  });
  useEffect(() => {
    if (!opened) return;
    const listener = (event: KeyboardEvent) => {
      onEscape(event);
    };
    window.addEventListener('keydown', listener, { capture: true });
    return () => {
      window.removeEventListener('keydown', listener, { capture: true });
    };
  }, [opened]);
  return (
    <Modal opened={opened} onClose={onClose} closeOnEscape={false} title="Keys" size={620} centered>
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
