create or replace function flux.redacted(document jsonb, path text[], patterns text[])
    returns jsonb
    language sql
    immutable
    set search_path = ''
as $$
    select case jsonb_typeof(document)
        when 'object' then (
            select coalesce(
                jsonb_object_agg(
                    member.key,
                    case
                        when jsonb_typeof(member.value) = 'null' then member.value
                        when flux.is_hidden(path || member.key, patterns) then '"[redacted]"'
                        else flux.redacted(member.value, path || member.key, patterns)
                    end
                ),
                '{}'
            )
            from jsonb_each(document) as member
        )
        when 'array' then (
            select coalesce(jsonb_agg(flux.redacted(element.value, path, patterns) order by element.ordinality), '[]')
            from jsonb_array_elements(document) with ordinality as element
        )
        else document
    end
$$;

comment on function flux.redacted(jsonb, text[], text[]) is
    'A document without the members that the patterns hide; path is where it stands, such as {public,users,profile}.';
