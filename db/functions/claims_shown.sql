create or replace function flux.claims_shown(expression text)
    returns text
    language sql
    immutable
    set search_path = ''
as $$
    select regexp_replace(
        expression, '\( SELECT flux\.claim\((''(?:[^'']|'''')*'')::text\) AS claim\)', 'claim(\1)', 'g'
    )
$$;

comment on function flux.claims_shown(text) is
    'An expression of a policy as people write it: claim(''sub'') in place of the subquery that asks it once a statement.';
