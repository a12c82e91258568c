create or replace function flux.drop_orphaned_recorders()
    returns void
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    orphan regprocedure;
begin
    for orphan in
        select function.oid
        from pg_proc as function
        where function.pronamespace = 'flux'::regnamespace
            and function.proname ~ '^record_[0-9]+(_[0-9a-f]{8})?$'
            and pg_has_role(function.proowner, 'usage')
            and not exists (select from pg_trigger where tgfoid = function.oid)
    loop
        execute format('drop function %s', orphan);
    end loop;
end
$$;

comment on function flux.drop_orphaned_recorders() is
    'Drops the recorders of tables that are no more: a function does not go with the table whose triggers call it.';

revoke all on function flux.drop_orphaned_recorders() from public;
