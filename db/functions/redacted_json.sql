create or replace function flux.redacted_json(document json, path text[], patterns text[])
    returns text
    language plpgsql
    immutable
    set search_path = ''
as $$
declare
    shown jsonb;
begin
    shown := flux.redacted(document::jsonb, path, patterns);
    return case when shown = document::jsonb then document::text else shown::text end;
exception
    -- json takes what jsonb does not, such as \u0000: what cannot be looked into is not shown at all.
    when data_exception then
        return '[redacted]';
end
$$;

comment on function flux.redacted_json(json, text[], text[]) is
    'The text of a json value without the members that the patterns hide; unchanged to the last space when they hide none.';
