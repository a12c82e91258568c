create or replace function flux.encoded_value(source text, column_type oid, path text[], patterns text[])
    returns text
    language sql
    stable
    set search_path = ''
as $$
    select case
        when flux.is_hidden(path, patterns) then
            format('case when num_nulls(%1$s) = 0 then ''[redacted]'' end', source)
        else case flux.encoding(column_type)
            when 'document' then format(
                'case when jsonb_typeof(%1$s) in (''object'', ''array'') then %2$s else to_jsonb(%1$s::text) end',
                source,
                case
                    when patterns = '{}' then format('%s::jsonb', source)
                    else format('flux.redacted(%s, %L, %L)', source, path, patterns)
                end
            )
            when 'json' then case
                when patterns = '{}' then format('%s::text', source)
                else format('flux.redacted_json(%s, %L, %L)', source, path, patterns)
            end
            when 'printed' then
                format('case when num_nulls(%1$s) = 0 then format(''%%s'', %1$s) end', source)
            when 'output' then format('%s::text', source)
            else source
        end
    end
$$;

comment on function flux.encoded_value(text, oid, text[], text[]) is
    'SQL that turns a column into what a mutation keeps of it. Whatever the type: read it with ->> and cast that to the type.';
