import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router';
import { Empty } from '../status/Empty';
import { Problem } from '../status/Problem';
import { parseAddress, printAddress, type Address } from './address';
import { Shell } from './Shell';

const root = createRootRoute({
  component: Shell,
  validateSearch: (search): Address => search as Address,
  notFoundComponent: () => (
    <Empty title="There is no such page" hint="The address may be mistyped; the tabs above lead to every page." />
  ),
  errorComponent: ({ error, reset }) => <Problem error={error} onRetry={reset} />,
});

// Each page is a chunk of its own: editors and charts are loaded by the pages that have them.
const routes = [
  createRoute({
    getParentRoute: () => root,
    path: '/',
    component: lazyRouteComponent(() => import('../pages/home/Home')),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/logs',
    component: lazyRouteComponent(() => import('../pages/logs/Logs')),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/charts',
    component: lazyRouteComponent(() => import('../pages/metrics/Metrics')),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/cardinality',
    component: lazyRouteComponent(() => import('../pages/cardinality/Cardinality')),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/quarantine',
    component: lazyRouteComponent(() => import('../pages/quarantine/Quarantine')),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/quarantine/try',
    component: lazyRouteComponent(() => import('../pages/drafts/ContractDraft')),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/pipelines',
    component: lazyRouteComponent(() => import('../pages/pipelines/Pipelines')),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/pipelines/try',
    component: lazyRouteComponent(() => import('../pages/drafts/PipelineDraft')),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/traces',
    component: lazyRouteComponent(() => import('../pages/traces/Traces')),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/trace/$traceId',
    component: lazyRouteComponent(() => import('../pages/trace/Trace')),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/map',
    component: lazyRouteComponent(() => import('../pages/map/Map')),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/service/$name',
    component: lazyRouteComponent(() => import('../pages/service/Service')),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/catalogue',
    component: lazyRouteComponent(() => import('../pages/catalogue/Catalogue')),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/catalogue/$path',
    component: lazyRouteComponent(() => import('../pages/catalogue/EntryPage')),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/scorecard',
    component: lazyRouteComponent(() => import('../pages/scorecard/Scorecard')),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/boards',
    component: lazyRouteComponent(() => import('../pages/boards/Boards')),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/boards/$name',
    component: lazyRouteComponent(() => import('../pages/boards/Board')),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/sql',
    component: lazyRouteComponent(() => import('../pages/sql/Sql')),
  }),
] as const;

export const router = createRouter({
  routeTree: root.addChildren([...routes]),
  parseSearch: parseAddress,
  stringifySearch: printAddress,
  defaultPreload: 'intent',
  defaultErrorComponent: ({ error, reset }) => <Problem error={error} onRetry={reset} />,
});
