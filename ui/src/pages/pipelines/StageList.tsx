import type { Stage } from '../../api/pipelines';
import classes from './StageList.module.css';
import { conditionOf, nothingWords, programOf, stageWords, type Deed } from './words';

interface Props {
  stages: Stage[];
  /** What each did. */
  did: (stage: Stage) => Deed[];
  /** Whether records came that it could have done something to. */
  ran: boolean;
}

/** The stages of a pipeline in plain words, each with what it did. */
export function StageList({ stages, did, ran }: Props) {
  return (
    <ol className={classes.stages}>
      {stages.map((stage) => {
        const condition = conditionOf(stage.when);
        const program = programOf(stage);
        const deeds = did(stage);
        return (
          <li key={stage.stage} data-testid="stage">
            <div className={classes.what}>
              <span>
                {stageWords(stage)}
                {condition && (
                  <>
                    {stage.kind === 'drop' ? ' where ' : ', only where '}
                    <code>{condition}</code>
                  </>
                )}
              </span>
              {program && <pre>{program}</pre>}
            </div>
            <div className={classes.did}>
              {ran && deeds.length === 0 && <span className="dim">{nothingWords(stage.kind)}</span>}
              {deeds.map(({ what, says }) => (
                <span key={says} data-what={what}>
                  {says}
                </span>
              ))}
            </div>
          </li>
        );
      })}
    </ol>
  );
}
