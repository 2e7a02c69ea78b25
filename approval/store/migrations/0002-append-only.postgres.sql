-- History is append-only, and what has ended stays as it ended, whoever asks: the service itself has no way around it.

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '%', TG_ARGV[0];
END
$$;

CREATE TRIGGER history_no_change BEFORE UPDATE OR DELETE ON history
FOR EACH ROW EXECUTE FUNCTION refuse_change('history is append-only');

CREATE TRIGGER history_no_truncate BEFORE TRUNCATE ON history
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('history is append-only');

CREATE TRIGGER approvals_ended BEFORE UPDATE ON approvals
FOR EACH ROW WHEN (OLD.state NOT IN ('pending', 'approved'))
EXECUTE FUNCTION refuse_change('this approval has ended');
