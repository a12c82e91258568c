create or replace function flux.row_after(target text, key jsonb, after_id bigint)
    returns jsonb
    language sql
    stable
    set search_path = ''
as $$
    with steps as (
        select mutation.id, true as is_whole, mutation.old_values as before
        from flux.state_mutations as mutation
        where mutation.table_name = target
            and mutation.previous_key = key
            and mutation.id > after_id
            and not mutation.rolled_back
        union all
        select
            mutation.id,
            mutation.operation <> 'UPDATE' or mutation.previous_key is not null,
            case when mutation.previous_key is null then mutation.old_values end
        from flux.state_mutations as mutation
        where mutation.table_name = target
            and mutation.row_key = key
            and mutation.id > after_id
            and not mutation.rolled_back
    ),

    whole as (
        select id, before from steps where is_whole order by id limit 1
    )

    select
        case
            when exists (select from whole) then (select before from whole)
            else nullif(flux.present_row(target, key), '{}')
        end || coalesce(
            (
                select jsonb_object_agg(part.key, part.value order by step.id desc)
                from steps as step
                cross join jsonb_each(step.before) as part
                where not step.is_whole
                    and step.id < coalesce((select id from whole), step.id + 1)
            ),
            '{}'
        )
$$;

comment on function flux.row_after(text, jsonb, bigint) is
    'A row as it was just after a mutation, from what it is now and the writes since; null when there was none.';
