create or replace function flux.change_text(mutation flux.state_mutations)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    select string_agg(
        case
            when (mutation).operation = 'UPDATE' then format(
                '%s: %s → %s', change.name,
                coalesce(flux.value_text(change.old_value), '?'), coalesce(flux.value_text(change.new_value), '?')
            )
            else format('%s=%s', change.name, flux.value_text(coalesce(change.new_value, change.old_value)))
        end,
        ', ' order by change.position
    )
    from flux.column_changes(mutation) with ordinality
        as change (name, old_value, new_value, in_key, position)
    where (mutation).operation = 'UPDATE'
        or (not change.in_key and coalesce(change.new_value, change.old_value) <> 'null');
$$;

comment on function flux.change_text(flux.state_mutations) is
    'What a mutation did, in one line: email=a@b.com, plan=free for a row that came or went, plan: free → pro for an update.';
