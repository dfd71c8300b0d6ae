import { Button } from '@mantine/core';
import { IconListTree } from '@tabler/icons-react';
import { useMemo } from 'react';
import { useAddress } from '../../app/address';
import { mergeTraces } from './flame';
import { FlameGraph } from './FlameGraph';
import type { TraceTree } from './tree';
import { useColors } from './useColors';

/** The spans of one trace merged by path: a hundred calls of one kind are one box. */
export function TraceFlame({ tree }: { tree: TraceTree }) {
  const [, setAddress] = useAddress();
  const colors = useColors(tree.services);
  const all = useMemo(() => mergeTraces([tree]), [tree]);
  return (
    <FlameGraph
      all={all}
      colors={colors}
      traces={1}
      actions={({ longest, count }) =>
        longest && (
          <Button
            size="compact-xs"
            variant="light"
            leftSection={<IconListTree size={13} />}
            onClick={() => setAddress({ view: undefined, span: longest.node.span.spanId })}
          >
            {count > 1 ? 'The longest in the waterfall' : 'Show in the waterfall'}
          </Button>
        )
      }
    />
  );
}
