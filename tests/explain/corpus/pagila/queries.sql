-- actor_info
select a.actor_id, a.first_name, a.last_name,
    group_concat(distinct (c.name || ': '::text) || (
        select group_concat(f.title) as group_concat
        from film f
        join film_category fc_1 on f.film_id = fc_1.film_id
        join film_actor fa_1 on f.film_id = fa_1.film_id
        where fc_1.category_id = c.category_id and fa_1.actor_id = a.actor_id
        group by fa_1.actor_id
    )) as film_info
from actor a
left join film_actor fa on a.actor_id = fa.actor_id
left join film_category fc on fa.film_id = fc.film_id
left join category c on fc.category_id = c.category_id
group by a.actor_id, a.first_name, a.last_name;

-- customer_list
select cu.customer_id as id, (cu.first_name || ' '::text) || cu.last_name as name, a.address,
    a.postal_code as "zip code", a.phone, city.city, country.country,
    case when cu.activebool then 'active'::text else ''::text end as notes, cu.store_id as sid
from customer cu
join address a on cu.address_id = a.address_id
join city on a.city_id = city.city_id
join country on city.country_id = country.country_id;

-- film_list
select film.film_id as fid, film.title, film.description, category.name as category, film.rental_rate as price,
    film.length, film.rating, group_concat((actor.first_name || ' '::text) || actor.last_name) as actors
from category
left join film_category on category.category_id = film_category.category_id
left join film on film_category.film_id = film.film_id
join film_actor on film.film_id = film_actor.film_id
join actor on film_actor.actor_id = actor.actor_id
group by film.film_id, film.title, film.description, category.name, film.rental_rate, film.length, film.rating;

-- nicer_but_slower_film_list
select film.film_id as fid, film.title,
    group_concat(((upper("substring"(actor.first_name, 1, 1)) || lower("substring"(actor.first_name, 2)))
        || upper("substring"(actor.last_name, 1, 1))) || lower("substring"(actor.last_name, 2))) as actors
from film
join film_actor on film.film_id = film_actor.film_id
join actor on film_actor.actor_id = actor.actor_id
group by film.film_id, film.title;

-- sales_by_film_category
select c.name as category, sum(p.amount) as total_sales
from payment p
join rental r on p.rental_id = r.rental_id
join inventory i on r.inventory_id = i.inventory_id
join film f on i.film_id = f.film_id
join film_category fc on f.film_id = fc.film_id
join category c on fc.category_id = c.category_id
group by c.name
order by (sum(p.amount)) desc;

-- sales_by_store
select (c.city || ','::text) || cy.country as store, (m.first_name || ' '::text) || m.last_name as manager,
    sum(p.amount) as total_sales
from payment p
join rental r on p.rental_id = r.rental_id
join inventory i on r.inventory_id = i.inventory_id
join store s on i.store_id = s.store_id
join address a on s.address_id = a.address_id
join city c on a.city_id = c.city_id
join country cy on c.country_id = cy.country_id
join staff m on s.manager_staff_id = m.staff_id
group by cy.country, c.city, s.store_id, m.first_name, m.last_name
order by cy.country, c.city;

-- staff_list
select s.staff_id as id, s.first_name || ' ' || s.last_name as name, a.address, a.postal_code as "zip code", a.phone
from staff s join address a using (address_id) join city using (city_id) join country using (country_id);

-- film_in_stock
select inventory_id from inventory where film_id = 1 and store_id = 2 and inventory_in_stock(inventory_id);
select count(*) from rental r where inventory_id = 3;
select count(rental_id) from inventory left join rental using (inventory_id)
where inventory.inventory_id = 3 and rental.return_date is null;

-- get_customer_balance
select coalesce(sum(film.rental_rate), 0) from film, inventory, rental
where film.film_id = inventory.film_id and inventory.inventory_id = rental.inventory_id
    and rental.rental_date <= '2022-05-01' and rental.customer_id = 7;
select coalesce(sum(case when rental.return_date - rental.rental_date > (film.rental_duration * interval '1 day')
    then extract(epoch from rental.return_date - rental.rental_date) / 86400 - film.rental_duration else 0 end), 0)
from rental, inventory, film
where film.film_id = inventory.film_id and inventory.inventory_id = rental.inventory_id and rental.customer_id = 7;

-- rewards_report
select c.* from customer as c where c.customer_id in (
    select p.customer_id from payment as p
    where p.payment_date between date_trunc('month', now() - interval '3 month') and now()
    group by p.customer_id having sum(p.amount) > 10 and count(p.customer_id) > 2
);

-- reports
select title from film where fulltext @@ to_tsquery('fate & india');
select title, special_features from film where special_features @> array['Trailers'] and length between 90 and 120;
select title, unnest(special_features) as feature from film order by title limit 10 offset 5;
select rating, count(*) filter (where length > 100) as long, round(avg(rental_rate), 2) from film group by rating;
select rating, string_agg(title, ', ' order by title) from film group by rating having count(*) > 1;
select date_trunc('week', rental_date) as week, count(*) from rental group by 1 order by 1;
select to_char(payment_date, 'YYYY-MM') as month, sum(amount) from payment group by rollup (1);
select customer_id, amount, rank() over (partition by customer_id order by amount desc nulls last) from payment;
select customer_id, sum(amount) over (order by payment_date rows between 2 preceding and current row) from payment;
select distinct on (customer_id) customer_id, rental_date from rental order by customer_id, rental_date desc;
with recursive days as (
    select date '2022-01-01' as day union all select day + 1 from days where day < date '2022-01-31'
) select day::date, count(rental_id) from days left join rental on rental_date::date = day group by day;
select c.first_name, latest.rental_date from customer c
left join lateral (select rental_date from rental r where r.customer_id = c.customer_id order by 1 desc limit 1) latest on true;
select first_name from actor union select first_name from customer except select first_name from staff order by 1;
select * from film where title ilike '%love%' or title ~* '^a.*z$' or title similar to '(b|c)%';
select film_id, title from film tablesample system (10);
select * from rental where rental_date >= current_date - interval '7 days' and return_date is not distinct from null;
select json_build_object('title', title, 'actors', (select json_agg(actor_id) from film_actor fa where fa.film_id = f.film_id)) from film f;
select array(select actor_id from film_actor where film_id = 1), row(1, 'a'), '{1,2}'::int[] && array[2], x[1:2] from (select array[1, 2, 3] as x) s;
select coalesce(nullif(address2, ''), 'none'), greatest(1, 2), overlay('abc' placing 'x' from 2) from address;
select extract(dow from rental_date), rental_date at time zone 'UTC', age(return_date, rental_date) from rental;
select percentile_cont(0.5) within group (order by amount) from payment;
select * from (values (1, 'one'), (2, 'two')) as t (n, word) where n = any (array[1, 3]) and word like '\_%' escape '\';
select customer_id from customer c where exists (select from rental r where r.customer_id = c.customer_id) for update of c skip locked;
insert into actor (first_name, last_name) values ('A', 'B'), ('C', default) on conflict do nothing returning actor_id;
insert into category (category_id, name) values (1, 'x') on conflict (category_id) do update set name = excluded.name where category.name <> excluded.name;
update film set rental_rate = rental_rate * 1.1, (length, rating) = (100, 'PG') where film_id in (select film_id from film_category where category_id = 1) returning *;
update rental r set return_date = now() from customer c where c.customer_id = r.customer_id and c.active = 0;
delete from rental using inventory i where i.inventory_id = rental.inventory_id and i.store_id = 9;
with gone as (delete from payment where amount = 0 returning *) select count(*) from gone;
merge into category c using (values (1, 'a')) as n (id, name) on c.category_id = n.id
when matched then update set name = n.name when not matched then insert (name) values (n.name);
