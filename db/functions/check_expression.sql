create or replace function flux.check_expression(target regclass, expression text)
    returns void
    language plpgsql
    volatile
as $$
declare
    -- Each claim() is a subquery, so that it is asked once a statement.
    own constant integer := pg_catalog.regexp_count(expression, '\(select flux\.claim\(');
    found integer;
begin
    -- Postgres's own rules for a policy: no aggregates, no windows, no sets. On a line of its own, for comments.
    execute pg_catalog.format(
        E'create policy flux_checked on %s to flux_app using ((%s\n) is not null)', target, expression
    );

    select pg_catalog.regexp_count(policy.polqual::pg_catalog.text, '\{SUBLINK')
    into found
    from pg_catalog.pg_policy as policy
    where policy.polrelid = target
        and policy.polname = 'flux_checked';

    execute pg_catalog.format('drop policy flux_checked on %s', target);

    if found > own then
        raise exception 'a subquery in a policy is not supported: %', expression using
            errcode = 'XF441',
            hint = 'Put it in a function that is security definer, and call that.';
    end if;
end
$$;

comment on function flux.check_expression(regclass, text) is
    'Raises what is wrong with an expression over a table''s row in a policy or mask: names and types as Postgres finds them, and subqueries.';

revoke all on function flux.check_expression(regclass, text) from public;
