import { ActionIcon, Button, Tooltip, useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import {
  IconAddressBook,
  IconChartLine,
  IconDatabase,
  IconFilter,
  IconHome,
  IconKeyboard,
  IconLayoutDashboard,
  IconListDetails,
  IconMoon,
  IconRoute,
  IconShieldExclamation,
  IconSitemap,
  IconSun,
} from '@tabler/icons-react';
import { Link, Outlet, useRouterState } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { Problem } from '../status/Problem';
import { DEFAULT_RANGE } from '../time/range';
import { TimeControls } from '../time/TimeControls';
import { TimeProvider } from '../time/TimeProvider';
import { useTime } from '../time/useTime';
import { timeWords, useAddress } from './address';
import { CatalogNotice } from './CatalogNotice';
import { Keys } from './Keys';
import classes from './Shell.module.css';
import { useGlobalKeys } from './useKeys';

const PAGES = [
  { to: '/', label: 'Home', icon: IconHome },
  { to: '/map', label: 'Map', icon: IconSitemap },
  { to: '/catalogue', label: 'Catalogue', icon: IconAddressBook },
  { to: '/boards', label: 'Boards', icon: IconLayoutDashboard },
  { to: '/logs', label: 'Logs', icon: IconListDetails },
  { to: '/charts', label: 'Metrics', icon: IconChartLine },
  { to: '/traces', label: 'Traces', icon: IconRoute },
  { to: '/pipelines', label: 'Pipelines', icon: IconFilter },
  { to: '/quarantine', label: 'Quarantine', icon: IconShieldExclamation },
  { to: '/sql', label: 'SQL', icon: IconDatabase },
] as const;

/** Of pages that have no tab. */
const TITLES: Record<string, string> = {
  '/cardinality': 'Cardinality',
  '/scorecard': 'Scorecard',
  '/pipelines/try': 'Try a pipeline',
  '/quarantine/try': 'Try a contract',
};

const page = (to: string) => PAGES.find((each) => each.to === to);

export function Shell() {
  return (
    <TimeProvider>
      <Frame />
    </TimeProvider>
  );
}

function Frame() {
  const [keysShown, setKeysShown] = useState(false);
  useGlobalKeys(() => setKeysShown(true));
  const path = useRouterState({ select: (state) => state.location.pathname });
  const here =
    PAGES.find(({ to }) => (to === '/' ? path === '/' : path.startsWith(to))) ??
    (path.startsWith('/service/')
      ? page('/map')
      : path.startsWith('/trace/')
        ? page('/traces')
        : path === '/cardinality'
          ? page('/charts')
          : path === '/scorecard'
            ? page('/catalogue')
            : undefined);
  const title = TITLES[path] ?? here?.label;
  useEffect(() => {
    document.title = title ? `${title} · Tyto` : 'Tyto';
  }, [title]);
  const [address] = useAddress();
  return (
    <div className={classes.frame}>
      <a href="#main" className={classes.skip}>
        Skip to the page
      </a>
      <header className={classes.bar}>
        <Link to="/" search={timeWords(address)} className={classes.brand} aria-label="Tyto, home">
          <img src="/owl.svg" alt="" width={24} height={24} />
          <span>Tyto</span>
        </Link>
        <nav className={classes.nav} aria-label="Pages">
          {PAGES.map((page) => (
            <Link
              key={page.to}
              to={page.to}
              search={timeWords(address)}
              className={classes.tab}
              aria-current={page === here ? 'page' : undefined}
              activeOptions={{ exact: true }}
            >
              <page.icon size={16} stroke={1.7} aria-hidden />
              <span>{page.label}</span>
            </Link>
          ))}
        </nav>
        <div className={classes.right}>
          {/* A board has a time of its own, in its reader's words; a draft is tried on the newest records. */}
          {here?.to !== '/boards' && !path.endsWith('/try') && <TimeControls />}
          <Tooltip label="Keys (?)">
            <ActionIcon
              variant="subtle"
              color="gray"
              size={30}
              className={classes.keys}
              aria-label="Show the keys"
              onClick={() => setKeysShown(true)}
            >
              <IconKeyboard size={18} stroke={1.6} />
            </ActionIcon>
          </Tooltip>
          <Scheme />
        </div>
      </header>
      <CatalogNotice />
      <main id="main" className={classes.main} tabIndex={-1}>
        <Page />
      </main>
      <Keys opened={keysShown} onClose={() => setKeysShown(false)} />
    </div>
  );
}

function Page() {
  const time = useTime();
  if (time.valid) return <Outlet />;
  return (
    <>
      <Problem
        error={new Error(`Cannot read the time range in the address: from "${time.text.from}" to "${time.text.to}".`)}
      />
      <Button ml={12} onClick={() => time.setRange(DEFAULT_RANGE)}>
        Show the last hour
      </Button>
    </>
  );
}

function Scheme() {
  const shown = useComputedColorScheme('light');
  const { setColorScheme } = useMantineColorScheme();
  const next = shown === 'dark' ? 'light' : 'dark';
  return (
    <Tooltip label={`Switch to ${next}`}>
      <ActionIcon
        variant="subtle"
        color="gray"
        size={30}
        aria-label={`Switch to the ${next} colours`}
        data-testid="scheme"
        onClick={() => {
          // Choosing what the system shows anyway means following the system again.
          const system = window.matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
          setColorScheme(next === system ? 'auto' : next);
        }}
      >
        {shown === 'dark' ? <IconSun size={18} stroke={1.6} /> : <IconMoon size={18} stroke={1.6} />}
      </ActionIcon>
    </Tooltip>
  );
}
