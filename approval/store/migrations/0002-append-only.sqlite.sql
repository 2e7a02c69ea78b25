-- History is append-only, and what has ended stays as it ended, whoever asks: the service itself has no way around it.

CREATE TRIGGER history_no_update BEFORE UPDATE ON history
BEGIN
  SELECT RAISE(ABORT, 'history is append-only');
END;

CREATE TRIGGER history_no_delete BEFORE DELETE ON history
BEGIN
  SELECT RAISE(ABORT, 'history is append-only');
END;

-- INSERT OR REPLACE removes the old row without the trigger above, unless recursive_triggers is on in that connection.
CREATE TRIGGER history_no_replace BEFORE INSERT ON history
WHEN EXISTS (SELECT 1 FROM history WHERE sequence = NEW.sequence)
BEGIN
  SELECT RAISE(ABORT, 'history is append-only');
END;

CREATE TRIGGER approvals_ended BEFORE UPDATE ON approvals
WHEN OLD.state NOT IN ('pending', 'approved')
BEGIN
  SELECT RAISE(ABORT, 'this approval has ended');
END;
