import { Button } from '@mantine/core';
import { IconCircleCheck, IconShieldExclamation } from '@tabler/icons-react';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { fetchWaiting, type Settled, type Waiting, type WaitingGroup } from '../../api/quarantine';
import { timeWords, useAddress } from '../../app/address';
import { Answer } from '../../status/Answer';
import { Verdict } from '../../status/Verdict';
import { useTime } from '../../time/useTime';
import { GroupCard } from './GroupCard';
import classes from './Quarantine.module.css';
import { became, ofTeam, verdict, wrong } from './words';

/** Groups that show; with so many there is one cause behind most of them. */
const GROUPS_MAX = 100;

/** Log records that broke their contract and wait: whose they are, what is wrong, and what to do. */
export default function Quarantine() {
  const { nowMs, manual } = useTime();
  const waiting = useQuery({
    queryKey: ['quarantine', nowMs, manual],
    queryFn: ({ signal }) => fetchWaiting(signal),
    placeholderData: keepPreviousData,
  });
  const [outcome, setOutcome] = useState<Outcome>();
  const [{ team }, setAddress] = useAddress();
  return (
    <div className={classes.scroll}>
      <div className={classes.page}>
        <Answer query={waiting}>
          {(found) => (
            <Groups
              waiting={team ? ofTeam(found, team) : found}
              team={team}
              outcome={outcome}
              onAll={() => {
                setAddress({ team: undefined });
              }}
              onSettled={(group, settled) => {
                // A group of which nothing waits any more is gone with the next answer.
                setOutcome({ title: wrong(group), settled });
                void waiting.refetch();
              }}
            />
          )}
        </Answer>
      </div>
    </div>
  );
}

/** What became of the last order. */
interface Outcome {
  title: string;
  settled: Settled;
}

interface Props {
  waiting: Waiting;
  team: string | undefined;
  outcome: Outcome | undefined;
  onAll: () => void;
  onSettled: (group: WaitingGroup, settled: Settled) => void;
}

function Groups({ waiting, team, outcome, onAll, onSettled }: Props) {
  const [address] = useAddress();
  const { calm, title, text } = verdict(waiting, team);
  const shown = waiting.groups.slice(0, GROUPS_MAX);
  const all = waiting.groups.length + waiting.groupsLeftOut;
  return (
    <>
      <Verdict
        icon={calm ? IconCircleCheck : IconShieldExclamation}
        tone={calm ? 'ok' : 'warn'}
        title={title}
        aside={
          <>
            {team && (
              <Button variant="default" onClick={onAll}>
                Show all teams
              </Button>
            )}
            <Link to="/quarantine/try" search={timeWords(address)}>
              Try a contract
            </Link>
          </>
        }
      >
        <p className="dim">{text}</p>
      </Verdict>
      {outcome && (
        <div className={classes.outcome} role="status" data-testid="outcome">
          <p>
            {outcome.title}: {became(outcome.settled)}
          </p>
          {outcome.settled.why.map((why) => (
            <p key={why} className="dim">
              {why}
            </p>
          ))}
        </div>
      )}
      {shown.map((group) => (
        <GroupCard
          key={keyOf(group)}
          group={group}
          onSettled={(settled) => {
            onSettled(group, settled);
          }}
        />
      ))}
      {all > shown.length && (
        <p className="dim">
          The {shown.length} largest of {all} groups.
        </p>
      )}
    </>
  );
}

function keyOf({ businessService, service, component, contract, rule, path, expected, found }: WaitingGroup): string {
  return JSON.stringify([businessService, service, component, contract, rule, path, expected, found]);
}
