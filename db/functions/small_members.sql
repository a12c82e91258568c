create or replace function flux.small_members(document jsonb)
    returns jsonb
    language sql
    immutable
    set search_path = ''
as $$
    select jsonb_object_agg(
        member.key,
        case
            when octet_length(member.value::text) <= 1024
                -- It stands in a row, and the row in the input of a job.
                and not flux.nested_too_deep(jsonb_build_array(jsonb_build_array(member.value)))
                then member.value
            else jsonb_build_object('$omitted', jsonb_build_object('bytes', octet_length(member.value::text)))
        end
    )
    from jsonb_each(document) as member
$$;

comment on function flux.small_members(jsonb) is
    'A row without its values over 1 KiB or nested too deep: in their place stands {"$omitted": {"bytes": …}}.';
