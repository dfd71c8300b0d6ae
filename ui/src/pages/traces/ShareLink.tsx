import { Button, Menu } from '@mantine/core';
import { IconLink } from '@tabler/icons-react';
import { useState } from 'react';
import { printAddress, useAddress } from '../../app/address';
import { useTime } from '../../time/useTime';

/** A link to what shows, with its times held still or as they are. */
export function ShareLink() {
  const [address] = useAddress();
  const time = useTime();
  const [copied, setCopied] = useState(false);
  const copy = (still: boolean) => {
    const { startMs, endMs } = time.range;
    const held = still ? { from: `${Math.floor(startMs)}`, to: `${Math.ceil(endMs)}`, refresh: undefined } : {};
    const link = `${window.location.origin}/traces${printAddress({ ...address, ...held })}`;
    void navigator.clipboard.writeText(link).then(() => {
      setCopied(true);
      setTimeout(() => setCopied(false), 1500);
    });
  };
  return (
    <Menu position="bottom-end" shadow="md">
      <Menu.Target>
        <Button size="compact-sm" variant="subtle" leftSection={<IconLink size={14} />}>
          {copied ? 'Copied' : 'Share'}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => copy(true)}>Copy a link to exactly these times</Menu.Item>
        <Menu.Item onClick={() => copy(false)}>
          Copy the link as it is{time.text.to === 'now' ? ', which moves with the clock' : ''}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
