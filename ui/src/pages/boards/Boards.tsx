import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { fetchBoards, type BoardSummary } from '../../api/boards';
import { Answer } from '../../status/Answer';
import { Empty } from '../../status/Empty';
import classes from './Boards.module.css';
import { timeWords } from './words';

/** Every board that is declared, to choose from. */
export default function Boards() {
  const boards = useQuery({
    queryKey: ['boards'],
    queryFn: ({ signal }) => fetchBoards(signal),
    refetchInterval: 60_000,
  });
  return (
    <div className={classes.scroll}>
      <div className={classes.page}>
        <Answer query={boards} empty={(found) => (found.length ? null : <None />)}>
          {(found) => (
            <>
              <header className={classes.heading}>
                <h1>Boards</h1>
                <p className="dim">What happens in the business, live and in plain words.</p>
              </header>
              <ul className={classes.gallery}>
                {found.map((board) => (
                  <Card key={board.name} board={board} />
                ))}
              </ul>
            </>
          )}
        </Answer>
      </div>
    </div>
  );
}

function Card({ board }: { board: BoardSummary }) {
  return (
    <li>
      <Link to="/boards/$name" params={{ name: board.name }} className={classes.card} data-testid="board-card">
        <h2>{board.title}</h2>
        <p>{board.about}</p>
        <p className={classes.small}>
          {[board.businessService, board.team && `by ${board.team}`, timeWords(board.range)]
            .filter(Boolean)
            .join(' · ')}
        </p>
      </Link>
    </li>
  );
}

function None() {
  return (
    <Empty
      title="No board is declared yet"
      hint="A board is a YAML file in the folder boards of the catalogue: numbers, steps, charts and events in plain words. The book's page “Boards” shows how."
    />
  );
}
