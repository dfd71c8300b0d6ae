import { Button } from '@mantine/core';
import { IconRoute } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import type { TraceSummary } from '../../api/tempo';
import { timeWords, useAddress } from '../../app/address';
import { Answer } from '../../status/Answer';
import { mergeTraces } from '../trace/flame';
import { FlameGraph } from '../trace/FlameGraph';
import { buildTree } from '../trace/tree';
import { useColors } from '../trace/useColors';
import { Reading } from './Reading';
import classes from './Traces.module.css';
import { sampleWords, useSample, type Sample } from './useSample';

/** The found traces merged into one picture: where the time of all of them goes. */
export function SetFlame({ traces }: { traces: TraceSummary[] }) {
  const { answer, progress, of } = useSample(traces);
  return (
    <Answer query={answer} loading={<Reading progress={progress} of={of} />}>
      {(sample) => <Merged sample={sample} found={traces.length} />}
    </Answer>
  );
}

function Merged({ sample, found }: { sample: Sample; found: number }) {
  const [address] = useAddress();
  const trees = useMemo(() => sample.traces.map(({ spans }) => buildTree(spans)), [sample]);
  const all = useMemo(() => mergeTraces(trees), [trees]);
  const services = useMemo(() => [...new Set(trees.flatMap((tree) => tree.services))], [trees]);
  const colors = useColors(services);
  return (
    <>
      <p className={classes.note} data-testid="sample">
        {sampleWords(sample, found)} What ran in the same service and operation, called from the same place, is one box.
      </p>
      <FlameGraph
        all={all}
        colors={colors}
        traces={trees.length}
        actions={({ longest }) =>
          longest && (
            <Button
              size="compact-xs"
              variant="light"
              leftSection={<IconRoute size={13} />}
              renderRoot={(props: object) => (
                <Link
                  {...props}
                  to="/trace/$traceId"
                  params={{ traceId: longest.node.span.traceId }}
                  search={{ ...timeWords(address), span: longest.node.span.spanId }}
                />
              )}
            >
              Open the longest
            </Button>
          )
        }
      />
    </>
  );
}
