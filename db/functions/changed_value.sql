create or replace function flux.changed_value(old_source text, new_source text, column_type oid)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    select format(
        case flux.encoding(column_type)
            when 'exact' then '%s is distinct from %s'
            when 'text' then '%s collate "C" is distinct from %s collate "C"'
            when 'padded' then 'to_jsonb(%s) is distinct from to_jsonb(%s)'
            when 'printed' then
                '(num_nulls(%1$s), format(''%%s'', %1$s)) is distinct from (num_nulls(%2$s), format(''%%s'', %2$s))'
            else '%s::text is distinct from %s::text'
        end,
        old_source, new_source
    )
$$;

comment on function flux.changed_value(text, text, oid) is
    'SQL that tells whether two values differ at all: 1.10 from 1.1, -0 from 0, and JSON null from NULL, which = does not.';
