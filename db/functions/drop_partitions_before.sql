create or replace function flux.drop_partitions_before(day date)
    returns setof text
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    partition name;
begin
    for partition in
        select child.relname
        from pg_inherits as inherits
        join pg_class as child on child.oid = inherits.inhrelid
        where inherits.inhparent in (
                'flux.trace_requests'::regclass, 'flux.execution_spans'::regclass, 'flux.state_mutations'::regclass,
                'flux.replay_mutations'::regclass, 'flux.finished_jobs'::regclass, 'flux.events'::regclass
            )
            and child.relname ~ '_\d{4}_\d{2}_\d{2}$'
            and to_date(right(child.relname, 10), 'YYYY_MM_DD') < day
        order by child.relname
    loop
        execute format('drop table if exists flux.%I', partition);
        return next partition;
    end loop;

    perform flux.forget_handoffs(day);
end
$$;

comment on function flux.drop_partitions_before(date) is
    'Forgets the records of the days before one, in UTC; gives the names of the partitions dropped.';

revoke all on function flux.drop_partitions_before(date) from public;
